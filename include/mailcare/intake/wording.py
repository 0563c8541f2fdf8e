"""How the states of a mail are called."""

from mailcare.records.received import MailState

MAIL_STATE_TITLES = {
    MailState.RECEIVED: "刚收到",
    MailState.WAITING: "待分诊",
    MailState.AUTOMATIC: "自动邮件",
    MailState.NOTED: "已归入故障",
    MailState.DECLARED: "已登记故障",
    MailState.DISMISSED: "无需处理",
}
