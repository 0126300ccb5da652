"""The words of messages to people (`alerts/page_text.py`): key -> English, Chinese. A part of the catalogue.

``page.why.REASON`` is the first line of a page that was requested for that reason; a reason without an
entry needs no such line.
"""

from typing import Final

PAGES: Final[dict[str, tuple[str, str]]] = {
    "page.title": ("{mark} {kind}: {clinic}, bed {bed}", "{mark} {kind}：{clinic}，{bed} 床"),
    "page.title_no_bed": ("{mark} {kind}: {clinic}", "{mark} {kind}：{clinic}"),
    "page.patient": ("Patient: {patient}", "患者：{patient}"),
    "page.since": ("Since {time}", "自 {time} 起"),
    "page.case": ("Case {case}", "病例号 {case}"),
    "page.summary": ("{mark} {n} messages in one", "{mark} 汇总 {n} 条消息"),
    "page.more": ("and {n} more", "另有 {n} 条"),
    "page.why.upgraded": ("It has become worse.", "情况加重。"),
    "page.why.recurred": ("It has come back.", "再次出现。"),
    "page.why.exhausted": (
        "NOBODY HAS ANSWERED: everybody on duty was paged.",
        "无人应答：已通知全部值班人员。",
    ),
    "page.why.task": ("A task, no alarm.", "任务提醒，非报警。"),
    "page.why.test": ("TEST ALARM: no patient is concerned.", "测试报警：不涉及患者。"),
    "page.why.clinic_overdue": ("The clinic has not answered yet.", "基层机构尚未应答。"),
    "page.why.handed_over": ("Handed over to you.", "已移交给您。"),
    "page.why.call_back": ("The hub hospital is about to call you.", "中心医院即将致电贵机构。"),
    "page.why.county_120": (
        "The clinic cannot be reached: call the county emergency line.",
        "无法联系基层机构：请拨打县急救电话。",
    ),
    "page.why.unreached": ("The clinic has not been reached yet.", "尚未联系到基层机构。"),
    "page.why.lease_expired": (
        "Whoever took it has done nothing since: somebody is wanted again.",
        "接手人未继续处理：需要重新接手。",
    ),
    "page.why.attempt": ("The call-back to the clinic is overdue.", "回拨基层机构已超时。"),
    "page.why.read_back": ("The read-back is overdue.", "复述确认已超时。"),
    "page.why.clinic_acknowledge": ("The clinic's acknowledgement is overdue.", "基层机构确认已超时。"),
    "page.why.action": ("The clinic has not stated its action.", "基层机构尚未说明处置。"),
    "page.why.outcome": ("The outcome is overdue.", "结果登记已超时。"),
}
