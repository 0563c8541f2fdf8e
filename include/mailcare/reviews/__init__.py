"""The year's review 年度服务报告: what was promised, what was done, and what comes next."""
