"""Satisfaction surveys 客户满意度调查: asked once a case, by phone or on a signed sheet."""
