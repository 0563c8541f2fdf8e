"""What is wrong with a form, in English: the sentences that the areas say in Chinese."""

# `{}` stands for what a sentence names, `{n}` for a number; see `sentences`.
SENTENCES = {
    "不认识的键": "unknown key",
    "缺少必填项": "required",
    "只能是 {}": "must be one of {}",
    "应为文字": "must be text",
    "应为整数": "must be a whole number",
    "应为数字": "must be a number",
    "数字过大": "the number is too large",
    "不能超过 {} 项": "at most {} of them",
    "必须大于 {}": "must be above {}",
    "应为列表": "must be a list",
    "这一项没有这个数值": "no such number is entered about this item",
    "{} 不在 {} 至 {} 之间": "{} is not between {} and {}",
    "警告与严重的，请写明建议": "say what to do about a warning or a critical finding",
    "约定再打的，请填写再打时间": "say when to call again",
    "不能早于现场巡检的首日 {}": "must not be before the visit's first day {}",
    "不能晚于今天": "must not be after today",
    "不能含控制字符": "must not hold control characters",
    "不能含换行或控制字符": "must not hold line ends or control characters",
    "应为键值对": "must be a mapping",
    "应为 true 或 false": "must be true or false",
    "最多 {} 位小数": "at most {} decimal places",
    "最多 {} 位数字": "at most {} digits",
    "格式不对（应符合 {}）": "not of the right form (must match {})",
    "不能为空": "must not be empty",
    "打开本页之后另一人登记或更正了答复，请重新打开": (
        "somebody recorded or corrected the answer since you opened this page: open it again"
    ),
    "这份调查还没有答复，不能更正": "there is no answer yet that could be corrected",
    "不能超过 {} 个字": "at most {} characters",
    "至少要有 {} 项": "at least {} needed",
    "不能小于 {}": "must not be below {}",
    "不能大于 {}": "must not be above {}",
    "时间必须带时区，例如 {}": "the time needs a zone, such as {}",
    "应为带时区的时间，例如 {}": "must be a time with its zone, such as {}",
    "不符合要求（{}）": "not accepted ({})",
    "应为日期，例如 {}": "must be a date, such as {}",
    "应为日期和时间，例如 {}": "must be a date and time, such as {}",
    "应为“用户名@域名”，且只含 ASCII 字符": "must be user@domain, ASCII characters only",
    "没有第 {} 版服务承诺，可用：{}": "there are no promises of version {}; there are: {}",
    "这一时限没有记为违约或超目标；刚刚超时的，一分钟内记录": (
        "not recorded as broken; what has just passed is recorded within a minute"
    ),
    "联系人中有重名": "two contacts have the same name",
    "结束日期不能早于开始日期": "the last day must not be before the first day",
    "应在 {n} 年至 {n} 年之间": "must be between {} and {}",
    "合同期不能超过 {} 年": "a contract lasts at most {} years",
    "远程服务与现场巡检至少要有一项": "remote service or visits: at least one of them",
    "同一个系统写了两次": "a system is named twice",
    "已有同名客户": "there is a customer of this name",
    "没有登记这个客户": "this customer is not recorded",
    "已有这个编号的合同": "there is a contract of this number",
    "合同编号不能更改": "a contract's number cannot be changed",
    "合同的客户不能更改": "a contract's customer cannot be changed",
    "没有这份合同": "there is no such contract",
    "该客户没有登记这些系统：{}": "the customer has no such systems: {}",
    "{} 在此期间已有合同 {}（{} 至 {}）": "{} is covered by contract {} in this time ({} to {})",
    "本合同年度没有剩余的现场巡检次数，属合同外，须售后主管批准": (
        "no visit is left in this contract year: it is beyond the contract, a manager must approve"
    ),
    "合同不包含这个系统": "the contract does not cover this system",
    "不在合同期内（{} 至 {}）": "not within the contract ({} to {})",
    "{} 不是工作日": "{} is not a working day",
    "{} 在 {} 已排有现场巡检": "{} has a visit planned on {} already",
    "有 {} 行错误，未写入任何内容": "{} rows are wrong; nothing was written",
    "文件或记录在预览之后有变化，未写入任何内容，请重新预览": (
        "the file or the records changed since the preview; nothing was written, preview it again"
    ),
    "登记内容在预览之后有变化，请重新预览": "the records changed since; preview it again",
    "没有登记这个系统": "this system is not recorded",
    "系统中没有这些主机：{}": "the system has no such hosts: {}",
    "给出授权的时间不能晚于现在": "it cannot have been given in the future",
    "结束时间须晚于开始时间": "the end must be after the beginning",
    "已经过去，这样的授权不起作用": "already past; such an authorisation does nothing",
    "{} 不是该客户指定的授权人（{}）；请由其授权，或先更改客户档案": (
        "the customer does not let {} authorise, but: {}; ask them, or change the customer first"
    ),
    "已登记过内容完全相同的授权；如果它已撤销，请写明新的依据": (
        "the very same authorisation is recorded; if it was revoked, name the new evidence"
    ),
    "这份授权已经撤销": "this authorisation is revoked already",
    "文件是空的": "the file is empty",
    "文件超过 {} MiB": "the file is larger than {} MiB",
    "只收 {} 文件（按内容识别，不看扩展名）": "only {} files are taken, told by content",
    "请选择文件": "choose a file",
    "请选择文件，或在下面填写内容": "choose a file, or write below",
    "文件不是 UTF-8 文本": "the file is not UTF-8 text",
    "只接受 .xlsx 或 .yaml 文件": "only .xlsx or .yaml files are taken",
    "这次运行仍在进行或排队，不必重新启动": "this run is still under way or queued",
    "这项服务已经开始或已撤回，不能重新启动": "this service has begun or is withdrawn",
    "Airflow 不允许您启动这个 Dag": "Airflow does not let you start this Dag",
    "已由 {} 于 {} 修改，您的修改没有保存，请重新打开后再改": (
        "{} changed it at {}; yours was not saved, open it again"
    ),
    "{} 年没有待确认的年度表": "no year table of {} waits to be confirmed",
    "{} 年的年度表由 {} 载入，须由另一人确认": "the table of {} is by {}; another must confirm",
    "请填写 Airflow 中的登录名": "enter the login name in Airflow",
    "{} 已有这个角色": "{} has this role already",
    "{} 没有这个角色": "{} does not have this role",
    "这是最后一位主管，请先把主管角色授予他人": "the last manager: give the role to another first",
    "站点文件有误：": "The site file is wrong:",
    "文件不存在": "there is no such file",
    "文件无法读取（{}）": "the file cannot be read ({})",
    "请附上签字件": "attach the signed file",
    "表单不完整，请重新打开": "the form is not whole, open it again",
    "表单不完整，请重新上传": "the form is not whole, upload the file again",
    "提交的内容过大，没有保存。": "Too large; it was not saved.",
    "请求不是从本控制台的页面发出的，已拒绝。": "It did not come from a page of this console.",
    "{} 还没有业务角色": "{} has no role yet",
    "没有这个角色": "there is no such role",
    "Airflow 没有接受（{}：{}）": "Airflow did not accept it ({}: {})",
    "没有登记这份授权": "this authorisation is not recorded",
    "这份授权没有附件": "this authorisation has no file",
    "没有客户的有效授权，未建立任何连接": (
        "no valid authorisation by the customer; nothing was connected to"
    ),
    "没有这份文件": "there is no such file",
    "没有这份文书": "there is no such paper",
    "文件与登记的 SHA-256 不符，可能已损坏，请从备份恢复": (
        "the file does not match its recorded SHA-256; restore it from a backup"
    ),
    "已由 {} 修改，您的修改没有保存，请重新打开后再改": (
        "{} changed it; yours was not saved, open it again"
    ),
    "已被他人修改，您的修改没有保存，请重新打开后再改": (
        "somebody else changed it; yours was not saved, open it again"
    ),
    "不能删除，名下还有{}": "cannot be deleted, for there are {}",
    "{n} 份合同": "{} contracts",
    "{n} 项服务": "{} services",
    "{n} 份文书": "{} papers",
    "{n} 份授权": "{} authorisations",
    "{n} 个故障": "{} faults",
    "{n} 封信件": "{} letters",
    "合同刚刚被他人更改，未写入任何内容，请重新预览": (
        "somebody changed a contract just now; nothing was written, preview it again"
    ),
    "记录在预览之后有变化，未写入任何内容，请重新预览": (
        "the records changed since the preview; nothing was written, preview it again"
    ),
    # Files of contracts
    "不是可用的 xlsx 文件（{}）": "no xlsx file that can be used ({})",
    "没有名为「{}」或「{}」的工作表": "there is no sheet named {} or {}",
    "展开后内容过大": "it unpacks to too much",
    "{} 是合并单元格，请取消合并，每行填全": (
        "{} is a merged cell; unmerge it and fill in every row"
    ),
    "超过 {n} 行，请分成几个文件": "more than {} rows; make several files of it",
    "不认识的列": "unknown columns",
    "缺少的列": "missing columns",
    "重复的列": "columns that stand twice",
    "工作表「{}」": "sheet {}",
    "工作表「{}」第 {n} 行": "sheet {}, row {}",
    "{} 列「{}」": "column {} ({})",
    "是公式，请改为填写结果": "is a formula; enter its result",
    "是错误值 {}": "is the error value {}",
    "不是 UTF-8 文本": "no UTF-8 text",
    "{} 应为列表，每项为键值对": "{} must be a list of mappings",
    "客户应有 name 与至少一个 contacts，不能有别的键": (
        "a customer has a name and contacts, one at least, and no other key"
    ),
    "与{}是同一个联系人": "the same contact as {}",
    "与{}重复": "the same as {}",
    # Site files and other YAML
    "站点文件有误": "The site file is wrong",
    "年度表有误": "The year table is wrong",
    "（整个文件）": "(the whole file)",
    "不支持 YAML 别名（*）": "YAML aliases (*) are not taken",
    "嵌套超过 {n} 层": "nested deeper than {} levels",
    "第 {n} 行不是合法的 YAML": "line {} is not YAML",
    "不是合法的 YAML": "not YAML",
    "内容必须是键值对": "it must be a mapping",
    "第 {n} 行重复了键 {}": "line {} repeats the key {}",
    "第 {n} 行 {}": "line {}: {}",
    "第 {n} 行": "line {}",
    "{} 第 {n} 行": "{} row {}",
    "没有这个产品档案；可用：{}": "there is no such product profile; there are: {}",
    "没有名为「{}」的产品档案；可用：{}": "there is no product profile {}; there are: {}",
    "产品档案「{}」未填写 {}": "the product profile {} lacks {}",
    "有重复的 {}：{}": "{} is not unique: {}",
    "有重名的备份副本：{}": "copies have the same name: {}",
    "valid_to 必须晚于 valid_from": "valid_to must be after valid_from",
    "nodes 中有重名的主机": "two nodes have the same name",
    "domains 中有重复的邮件域：{}": "domains stand twice: {}",
    "dnsbl_zones 中有重复的黑名单域：{}": "dnsbl_zones stand twice: {}",
    "listeners 中有重复的端口：{}": "listeners have a port twice: {}",
    "{} 提到未登记的主机：{}": "{} names hosts that are none: {}",
    "这个站点已登记在另一个客户名下": "this site is another customer's",
    "网页上传的站点文件不能新指定服务器上的文件或环境变量（{}）；请改用 Airflow 连接 connection，"
    "或由操作员在服务器上执行 mailcare site import": (
        "a site file from a browser cannot newly name files or variables of the server ({}); use "
        "an Airflow connection, or have the operator run mailcare site import on the server"
    ),
    "口令不得写在站点文件里，请改用 connection、password_env、password_file 或 key_file": (
        "no password may stand in a site file: use connection, password_env, password_file or "
        "key_file"
    ),
    "这里像是写入了口令或私钥，请改为引用连接、环境变量或文件": (
        "this looks like a password or private key; name a connection, a variable or a file"
    ),
    "connection、password_env、password_file、key_file 必须且只能填写一个": (
        "exactly one of connection, password_env, password_file and key_file"
    ),
    "connection、password_env、password_file 只能填写一个": (
        "one of connection, password_env and password_file at most"
    ),
    "应为由 {domain}、{user} 和固定目录名组成的路径，例如 {domain}/{user}": (
        "must be a path of {domain}, {user} and fixed names, such as {domain}/{user}"
    ),
    "不能包含 ..": "must not contain ..",
    "path 必须且只能在 source 为 file 时填写": "path goes with the source file, and only with it",
    "words 必须且只能在 source 为 command 时填写": (
        "words go with the source command, and only with it"
    ),
    "dialect 必须且只能在 kind 为 sql 时填写": "dialect goes with the kind sql, and only with it",
    "只有 restic 和 borg 仓库需要口令": "only restic and borg repositories need a password",
    # Surveys
    "四项评分与意见都是空的；客户没有作答的，请登记为未接通或谢绝": (
        "no score and no comment: where the customer did not answer, record no answer or refused"
    ),
    "客户谢绝的不再打，请不要填写再打时间": "nobody calls again who refused: leave the time empty",
    "客户打了分的，不能同时登记为没有答复": "there are scores: it is no call without an answer",
    "选了两个答案，只能有一个": "two answers were chosen, only one is possible",
    "日期应在 {} 至 {} 之间": "the day must be between {} and {}",
    "再打时间应晚于现在": "the time to call again must be in the future",
    "作答时间不能晚于现在": "it cannot have been answered in the future",
    "作答时间不能早于服务起始时间": "it cannot have been answered before the service began",
    "另一人刚刚登记了这份调查，请重新打开": "somebody recorded this survey just now: open it again",
    "打开本页之后已登记过一次回访，请重新打开再登记": (
        "a call was recorded since you opened this page: open it again"
    ),
    "没有这份满意度调查": "there is no such survey",
    "这份调查已有答复，不能再登记": "this survey is answered already",
    "客户已谢绝这份调查，不能再登记": "the customer refused this survey",
    "这份调查已过期，不再回访；客户交回签字表的，请登记签字表": (
        "this survey is expired, nobody calls any more; a signed sheet can still be recorded"
    ),
    "处理该服务的工程师不能登记自己的评价，请由客服或他人登记": (
        "who handled the case cannot record its marks: customer service or somebody else does"
    ),
    "该服务由哪位工程师处理没有记录，工程师均不能登记其评价，请由客服或主管登记": (
        "no engineer is recorded who handled the case, so that no engineer may record its marks: "
        "customer service or a manager does"
    ),
    "请附上签字表的扫描件": "attach the scan of the signed sheet",
    "这份调查没有签字表": "this survey has no signed sheet",
    # Visits
    "同一个日期写了两次": "a day is named twice",
    "{} 不在可安排的日期内（{} 至 {}）": "{} is not within what can be arranged ({} to {})",
    "{} 不是工作日，不能作为现场巡检的起始日": "{} is not a working day: no visit begins on it",
    "{} 被休息日隔开，不是连续的{n}个工作日；须客户同意并记录在案": (
        "{} are split by rest days, not {} working days in a row; the customer must agree on record"
    ),
    "注：本期限涉及尚未公布的{}年度放假安排，按周一至周五及法定节假日推算，"
    "以国务院办公厅正式通知为准": (
        "the holidays of {} are not published: reckoned from Monday to Friday and the statutory "
        "days; the State Council's notice counts"
    ),
    "{}的现场巡检不能{}": "not possible while the visit is in the state: {} (wanted: {})",
    "{}的现场巡检须由客户{}": "in the state: {}, this is for the customer to say (wanted: {})",
    "{}的现场巡检须由我方{}": "in the state: {}, this is for us to say (wanted: {})",
    "约定自 {} 开始，今天是 {}，不能提前登记开始；请先改期": (
        "agreed from {} on and today is {}: it cannot begin early, move it first"
    ),
    "人员名单中没有登录名为 {} 的工程师，请先授予角色": (
        "no engineer on the staff list logs in as {}: grant the role first"
    ),
    "客户没有另提日期": "the customer asked for no other day",
    "没有等待客户答复的日期": "no offer waits for the customer's answer",
    "请从所列日期中选择": "choose one of the days listed",
    "请先登记工程师与服务地点": "enter the engineer and the place first",
    "巡检已经开始，不能再更换工程师或地点": (
        "the visit has begun: engineer and place can no longer be changed"
    ),
    "本合同年度没有剩余的现场巡检次数，属合同外，须由售后主管提出": (
        "no visit is left in this contract year: beyond the contract, for a manager to propose"
    ),
    "另一人刚刚改动了这次巡检，请重新打开本页": (
        "somebody changed this visit just now: open it again"
    ),
    "没有这个编号的现场巡检": "there is no such visit",
    "没有这个编号的现场巡检服务": "there is no such service",
    "合同变更后不再包含这次服务，已撤销": "the changed contract no longer holds this service",
    "只有现场进行中的巡检可以填写": "entries are taken while the visit is going on",
    "客户意见在报告签字后登记": "the customer's opinion is entered when the report is signed",
    "应为 0 至 5 的整数，客户没有打分的留空": (
        "must be a whole number from 0 to 5; leave it empty where the customer gave none"
    ),
    "没有这个栏目": "there is no such field",
    "「{}」还没有任何记录": "nothing is recorded yet of: {}",
    "「用户技术人员培训与交流」还没有培训记录": "no training is recorded yet",
    "本次巡检没有这一项": "the visit does not ask for this",
    "没有这个文件": "there is no such file",
    "请选择照片或文件": "choose a photo or a file",
    "请选择采集结果文件": "choose the file with the collector's output",
    "不是本资料包的采集结果，或输出不完整（缺少巡检编号）": (
        "not the output of this visit's kit, or cut off (the visit's number is missing)"
    ),
    "属于另一次巡检 {}": "of another visit, {}",
    "不是采集脚本的输出": "not the collector's output",
    "采集结果不是本系统的主机，或其中没有任何回复": (
        "of none of the system's hosts, or without a reply"
    ),
    "压缩文件不完整或已损坏（{}），请重新压缩后交回": "the archive is damaged ({}): pack it again",
    "解压后超过 {} MiB": "it unpacks to more than {} MiB",
    "压缩文件中应只有一个文件，实有 {} 个": "the archive must hold one file, not {}",
    "压缩文件设有口令，请不设口令重新压缩后交回": "the archive has a password: pack it without",
    "不支持这种压缩方式，请用普通 zip 或 gzip 重新压缩后交回": (
        "this way of packing is not known: use plain zip or gzip"
    ),
    # Reviews
    "报告退回后又重新提交过，请重新打开再审核": (
        "the report was returned and submitted again: open it anew before you decide"
    ),
    "没有这份年度服务报告": "there is no such review",
    "没有这项年度回顾服务": "there is no such service",
    "这项年度回顾已撤回": "this review is withdrawn",
    "这份年度服务报告还没有生成": "this review is not rendered yet",
    "合同没有第 {} 年度": "the contract has no year {}",
    "公历年应为 {} 至 {}": "the year must be from {} to {}",
    # Year tables
    "起止日期颠倒": "the span ends before it begins",
    "没有 {n}-{n}-{n} 这一天": "there is no day {}-{}-{}",
    "不属于 {n} 年（至多涉及上年末 {n} 天）": (
        "not of {} (at most the last {} days of the year before)"
    ),
    "缺少法定节假日 {} {}": "the statutory holiday {} {} is missing",
    "全年工作日 {n} 天，不在 {} 天之内，请核对": "{} working days a year, not {}: check it",
    "{} 不是周末，调休上班只能是周六或周日": (
        "{} is no weekend; only a Saturday or Sunday can be made a working day"
    ),
    "{} 同时列在 off 中": "{} stands in off, too",
    "{} 重复": "{} stands twice",
    "{n} 年的年度表刚刚已由他人处理": "somebody dealt with the table of {} just now",
    "这份年度表已由 {} 确认，正在使用，没有变化。": "{} confirmed this table; it is in use.",
    # People on duty
    "应为时间，例如 {}": "must be a time, such as {}",
    "应为北京时间，不带时区，例如 {}": "must be Beijing time, without a zone, such as {}",
    "环境变量名与 Airflow 连接必须且只能填写一个": (
        "exactly one of variable and Airflow connection"
    ),
    "工作时间的结束须晚于开始": "the working hours must end after they begin",
    "一次最多排 {n} 天": "at most {} days at once",
    "没有登记这个人": "this person is not recorded",
    "没有登记这个机器人": "this robot is not recorded",
    "已有同名人员，或登录名已被使用": "the name or the login is taken",
    "已有同名机器人": "there is a robot of this name",
    "名称不能修改：信件按名称寻址；请停用后新建": (
        "the name cannot be changed, letters go by it; put it out of use and enter a new one"
    ),
    "没有登记这个人，或已停用": "this person is not recorded, or not in use",
    "值班表上没有这一行，可能已被移除": "there is no such line any more",
}
