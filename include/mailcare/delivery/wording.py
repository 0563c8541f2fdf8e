"""How letters, channels and rungs are called."""

from mailcare.records.alerts import RobotVendor, Rung
from mailcare.records.deliveries import DeliveryChannel, DeliveryState

CHANNEL_TITLES = {
    DeliveryChannel.SMTP: "邮件",
    DeliveryChannel.DINGTALK: "钉钉",
    DeliveryChannel.FEISHU: "飞书",
    DeliveryChannel.WECOM: "企业微信",
}
VENDOR_TITLES = {one: CHANNEL_TITLES[DeliveryChannel(one)] for one in RobotVendor}
STATE_TITLES = {
    DeliveryState.PENDING: "待发送",
    DeliveryState.SENDING: "发送中",
    DeliveryState.SENT: "已送达",
    DeliveryState.REFUSED: "被拒收",
    DeliveryState.UNCERTAIN: "待核实",
    DeliveryState.DEAD: "已放弃",
    DeliveryState.EXPIRED: "已过期",
    DeliveryState.SETTLED: "已核实送达",
}
RUNG_TITLES = {
    Rung.ENGINEER: "工程师",
    Rung.MANAGER: "主管",
    Rung.DIRECTOR: "总监",
    Rung.CUSTOMER_SERVICE: "客服",
}
