"""The one text catalogue: every word a person reads, in English and Chinese, by key.

Keys are ``group.word``. Groups: `kind` (conditions of `RhythmEpisode.kind` and `Alert.kind`), `rhythm`
(the short word on a tile), `flag` (`QualityFlag`), `link` (`LinkEvent.kind`), `priority`, `category`,
`state`, `symbol` (WFDB beat codes), `ui` (the pages), `page` (messages to people). ``{name}`` in a text is
a value that the caller puts in. Inactivation words are those of IEC 60601-1-8 (audio paused,
acknowledged ...; never mute or silence).
Not here: the desk's texts (`catalogue_desk.py`), those of pages to people (`catalogue_pages.py`), which
priority a condition has (the rule packs say).
"""

from typing import Final

from leadwire.catalogue_desk import DESK
from leadwire.catalogue_pages import PAGES
from leadwire.text import Text

LANGUAGES: Final = ("en", "zh")


_KINDS = {
    "asystole": Text("Asystole", "心脏停搏"),
    "ventricular_fibrillation": Text("Ventricular fibrillation", "心室颤动"),
    "sustained_ventricular_tachycardia": Text("Sustained ventricular tachycardia", "持续性室性心动过速"),
    "ventricular_tachycardia": Text("Ventricular tachycardia", "室性心动过速"),
    "ventricular_bradycardia": Text("Ventricular bradycardia", "室性心动过缓"),
    "ventricular_rhythm": Text("Ventricular rhythm", "室性节律"),
    "atrial_fibrillation": Text("Atrial fibrillation", "心房颤动"),
    "pause": Text("Pause", "长间歇"),
    "extreme_tachycardia": Text("Extreme tachycardia", "极度心动过速"),
    "extreme_bradycardia": Text("Extreme bradycardia", "极度心动过缓"),
    "tachycardia": Text("Tachycardia", "心动过速"),
    "bradycardia": Text("Bradycardia", "心动过缓"),
    "svt": Text("Supraventricular tachycardia", "室上性心动过速"),
    "pvc_run": Text("Run of PVCs", "室早连发"),
    "pvc_couplet": Text("PVC couplet", "成对室早"),
    "bigeminy": Text("Ventricular bigeminy", "室早二联律"),
    "trigeminy": Text("Ventricular trigeminy", "室早三联律"),
    "r_on_t": Text("R-on-T PVC", "R-on-T 室早"),
    "frequent_pvc": Text("Frequent PVCs", "频发室早"),
    "multiform_pvc": Text("Multiform PVCs", "多形性室早"),
    "missed_beat": Text("Missed beat", "漏搏"),
    "lead_off": Text("Lead off", "导联脱落"),
    "flat": Text("Flat signal", "信号平直"),
    "saturated": Text("Saturated signal", "信号饱和"),
    "noisy": Text("Noisy signal", "信号干扰"),
    "missing": Text("No usable signal", "无可用信号"),
    "no_data": Text("No data", "无数据"),
    "disconnected": Text("Device disconnected", "设备断开"),
    "battery_low": Text("Battery low", "电池电量低"),
    "torsade": Text("Torsade de pointes", "尖端扭转型室性心动过速"),
    "r_on_t_long_qt": Text("Long QT with R-on-T PVCs", "QT 间期延长伴 R-on-T 室早"),
    "long_qt": Text("Long QT interval", "QT 间期延长"),
    "av_block_third_degree": Text("Third-degree AV block", "三度房室传导阻滞"),
    "af_with_preexcitation": Text("Atrial fibrillation with pre-excitation", "心房颤动伴心室预激"),
    "infarction_acute": Text("Acute infarction pattern", "急性心肌梗死图形"),
    "st_elevation": Text("ST elevation", "ST 段抬高"),
    "st_depression": Text("ST depression", "ST 段压低"),
    "hyperkalaemia": Text("Hyperkalaemia pattern", "高钾血症图形"),
    "link_down": Text("Link down", "链路中断"),
    "unwatched": Text("Nobody is watching", "无人值守"),
    "queue_lag": Text("Data are processed late", "数据处理延迟"),
    "role_silent": Text("A part of Leadwire is silent", "系统组件无响应"),
    "test_alarm": Text("Test alarm", "测试报警"),
}

_RHYTHMS = {
    "asystole": Text("ASYSTOLE", "停搏"),
    "ventricular_fibrillation": Text("VF", "室颤"),
    "sustained_ventricular_tachycardia": Text("SUSTAINED VT", "持续室速"),
    "ventricular_tachycardia": Text("VT", "室速"),
    "ventricular_bradycardia": Text("VENT BRADY", "室性过缓"),
    "ventricular_rhythm": Text("VENT RHYTHM", "室性节律"),
    "atrial_fibrillation": Text("AF", "房颤"),
    "pause": Text("PAUSE", "长间歇"),
    "extreme_tachycardia": Text("EXTREME TACHY", "极度过速"),
    "extreme_bradycardia": Text("EXTREME BRADY", "极度过缓"),
    "tachycardia": Text("TACHY", "过速"),
    "bradycardia": Text("BRADY", "过缓"),
    "svt": Text("SVT", "室上速"),
    "pvc_run": Text("PVC RUN", "室早连发"),
    "pvc_couplet": Text("COUPLET", "成对室早"),
    "bigeminy": Text("BIGEMINY", "二联律"),
    "trigeminy": Text("TRIGEMINY", "三联律"),
    "r_on_t": Text("R-ON-T", "R-on-T"),
    "frequent_pvc": Text("PVCs/MIN", "频发室早"),
    "multiform_pvc": Text("MULTIFORM", "多形室早"),
    "missed_beat": Text("MISSED BEAT", "漏搏"),
    "lead_off": Text("LEAD OFF", "导联脱落"),
    "flat": Text("FLAT SIGNAL", "信号平直"),
    "saturated": Text("SATURATED", "信号饱和"),
    "noisy": Text("NOISY", "干扰"),
    "missing": Text("NO SIGNAL", "无信号"),
    "no_data": Text("NO DATA", "无数据"),
    "disconnected": Text("DISCONNECTED", "已断开"),
    "battery_low": Text("BATTERY LOW", "电量低"),
    "torsade": Text("TORSADE", "尖端扭转"),
    "r_on_t_long_qt": Text("LONG QT + R-ON-T", "长QT伴R-on-T"),
    "long_qt": Text("LONG QT", "长QT"),
    "av_block_third_degree": Text("AV BLOCK III", "三度AVB"),
    "af_with_preexcitation": Text("AF + PRE-EXC", "房颤伴预激"),
    "infarction_acute": Text("ACUTE MI", "急性心梗"),
    "st_elevation": Text("ST ELEVATION", "ST抬高"),
    "st_depression": Text("ST DEPRESSION", "ST压低"),
    "hyperkalaemia": Text("HYPERKALAEMIA", "高钾图形"),
    "link_down": Text("LINK DOWN", "链路中断"),
    "unwatched": Text("UNWATCHED", "无人值守"),
    "queue_lag": Text("LATE PROCESSING", "处理延迟"),
    "role_silent": Text("ROLE SILENT", "组件无响应"),
    "test_alarm": Text("TEST ALARM", "测试报警"),
}

_FLAGS = {
    "lead_off": Text("lead off", "导联脱落"),
    "flat": Text("flat", "平直"),
    "saturated": Text("saturated", "饱和"),
    "noisy": Text("noisy", "干扰"),
    "mains": Text("mains hum", "工频干扰"),
    "wander": Text("baseline wander", "基线漂移"),
    "missing": Text("missing", "缺失"),
}

_LINKS = {
    "connected": Text("connected", "已连接"),
    "disconnected": Text("disconnected", "已断开"),
    "ended": Text("recording ended", "记录已结束"),
    "gap": Text("gap in the data", "数据中断"),
    "overlap": Text("conflicting data", "数据重叠冲突"),
    "clock_jump": Text("device clock jumped", "设备时钟跳变"),
    "late": Text("late data", "迟到数据"),
}

_WORDS = {
    "priority.high": Text("high priority", "高优先级"),
    "priority.medium": Text("medium priority", "中优先级"),
    "priority.low": Text("low priority", "低优先级"),
    "tier.critical": Text("critical value", "危急值"),
    "tier.major": Text("major positive finding", "重大阳性值"),
    "category.physiological": Text("physiological alarm", "生理报警"),
    "category.technical": Text("technical alarm", "技术报警"),
    "state.active": Text("active", "持续中"),
    "state.ended": Text("ended", "已结束"),
    "symbol.N": Text("normal beat", "正常搏动"),
    "symbol.V": Text("ventricular ectopic beat", "室性异位搏动"),
    "symbol.S": Text("supraventricular ectopic beat", "室上性异位搏动"),
    "symbol.F": Text("fusion beat", "融合搏动"),
    "symbol./": Text("paced beat", "起搏搏动"),
    "symbol.Q": Text("beat, not classified", "未分类搏动"),
}

_UI = {
    "title": Text("Leadwire — central station", "Leadwire 中央监护站"),
    "wall": Text("Wall", "总览"),
    "not_a_device": Text("Not a certified medical device", "非经认证的医疗器械"),
    "beds": Text("Beds", "床位"),
    "bed": Text("Bed {bed}", "{bed} 床"),
    "alarms": Text("Alarms", "报警"),
    "no_alarms": Text("No active alarms", "无活动报警"),
    "alarms_unknown": Text("Alarm list not loaded yet", "报警列表尚未载入"),
    "hidden": Text("Hidden alarms: {n}", "未显示报警：{n}"),
    "show_all": Text("Show all alarms", "显示全部报警"),
    "show_less": Text("Show fewer", "收起"),
    "onset": Text("onset {time}", "起始 {time}"),
    "for": Text("for {time}", "已持续 {time}"),
    "late": Text("LATE {age}", "延迟 {age}"),
    "no_data": Text("NO DATA {age}", "无数据 {age}"),
    "waiting": Text("waiting for data", "等待数据"),
    "ended_at": Text("ended {time}", "{time} 结束"),
    "seconds": Text("{n} s", "{n} 秒"),
    "per_minute": Text("/min", "次/分"),
    "heart_rate": Text("HR", "心率"),
    "quality": Text("Signal quality", "信号质量"),
    "quality_good": Text("good", "良好"),
    "quality_fair": Text("fair", "一般"),
    "quality_poor": Text("not usable", "不可用"),
    "battery": Text("Battery {n} %", "电池 {n}%"),
    "link_age": Text("Age of the newest sample", "最新样本时延"),
    "leads_off_all": Text("all leads off", "全部导联脱落"),
    "leads_off": Text("off: {leads}", "脱落：{leads}"),
    "no_beds": Text("No bed is connected yet", "尚无床位连接"),
    "no_beds_hint": Text(
        "A tile appears here as soon as a device reports to the gateway.",
        "设备连接网关后，床位将显示在此处。",
    ),
    "server_lost": Text("CONNECTION TO THE SERVER LOST", "与服务器的连接已中断"),
    "server_lost_hint": Text(
        "Nothing on this page is live. Trying again … {age}",
        "本页内容不是实时数据。正在重新连接… {age}",
    ),
    "bus_lost": Text("THE SERVER RECEIVES NO DATA", "服务器未收到数据"),
    "bus_lost_hint": Text(
        "The message bus is not available to the dashboard. Alarms may be missing.",
        "看板无法访问消息总线，报警可能缺失。",
    ),
    "slow_client": Text(
        "Slow connection: {n} waveform frames were left out here",
        "连接缓慢：此处已丢弃 {n} 帧波形",
    ),
    "alerts_reset": Text(
        "Older alarm history was not available; the present alarms are shown.",
        "较早的报警记录不可用，现显示当前报警。",
    ),
    "audio_on": Text("Audio on", "声音开启"),
    "audio_paused": Text("AUDIO PAUSED {time}", "声音暂停 {time}"),
    "audio_blocked": Text("NO SOUND — click to enable", "无声音，点击启用"),
    "audio_pause": Text("Pause the audio for 120 s", "声音暂停 120 秒"),
    "audio_resume": Text("End the audio pause", "结束声音暂停"),
    "audio_enable": Text(
        "The browser blocks sound until this page is clicked once",
        "浏览器在点击页面之前禁止发声",
    ),
    "language": Text("中文", "English"),
    "language_hint": Text("Switch to Chinese", "切换到英文"),
    "to_scale": Text("{speed} mm/s · {gain} mm/mV", "{speed} mm/s · {gain} mm/mV"),
    "not_to_scale": Text("not to scale", "未按比例"),
    "calibrate": Text("Screen calibration", "屏幕校准"),
    "calibrate_text": Text(
        "Hold a ruler or a bank card to the screen and move the slider until the bar measures "
        "exactly 85.6 mm (the long side of a card).",
        "将直尺或银行卡贴近屏幕，拖动滑块，直到横条长度恰好为 85.6 毫米（卡片长边）。",
    ),
    "calibrate_save": Text("Save", "保存"),
    "calibrate_clear": Text("Forget", "清除"),
    "cancel": Text("Cancel", "取消"),
    "px_per_mm": Text("{n} px/mm", "{n} 像素/毫米"),
    "speed": Text("Speed", "走速"),
    "gain": Text("Gain", "增益"),
    "layout": Text("Layout", "布局"),
    "back": Text("Back to the wall", "返回总览"),
    "filter_raw": Text("no filter; each lead is centred once per sweep", "未滤波；每次扫描各导联居中一次"),
    "history": Text("Last minutes", "近期回顾"),
    "minutes": Text("{n} min", "{n} 分钟"),
    "history_none": Text("The archive has nothing for this time yet", "该时段暂无存档数据"),
    "history_off": Text("No archive is connected", "未连接存档"),
    "history_live": Text("Live", "实时"),
    "history_at": Text("Recorded {time}", "记录于 {time}"),
    "history_hint": Text("Click to see this moment at full scale", "点击查看该时刻的完整波形"),
    "lead": Text("Lead", "导联"),
    "episodes": Text("Alarms of this patient", "该患者的报警"),
    "episodes_none": Text("None so far", "暂无"),
    "evidence": Text("{value} {unit} (limit {threshold})", "{value} {unit}（限值 {threshold}）"),
    "unknown_stream": Text("This recording is not known here", "未找到该记录"),
    "patient": Text("Patient", "患者"),
    "details": Text("Open bed {bed}", "打开 {bed} 床"),
    "new_alarm": Text(
        "High priority alarm. {kind}. Bed {bed}, {clinic}.",
        "高优先级报警。{kind}。{clinic}，{bed} 床。",
    ),
    "shift_hint": Text(
        "Keys: arrows move, Enter opens, A audio pause, L language",
        "按键：方向键移动，回车打开，A 声音暂停，L 切换语言",
    ),
}

CATALOGUE: Final[dict[str, Text]] = (
    {f"kind.{k}": v for k, v in _KINDS.items()}
    | {f"rhythm.{k}": v for k, v in _RHYTHMS.items()}
    | {f"flag.{k}": v for k, v in _FLAGS.items()}
    | {f"link.{k}": v for k, v in _LINKS.items()}
    | _WORDS
    | {f"ui.{k}": v for k, v in _UI.items()}
    | {k: Text(*v) for k, v in PAGES.items()}
    | DESK
)


def text(key: str, language: str = "en", **values: object) -> str:
    """The text of `key` in `language` ("en" or "zh"), with `values` put in.

    A key that is not in the catalogue comes back as it is: an unknown condition must still be seen.
    """
    entry = CATALOGUE.get(key)
    if entry is None:
        return key
    found = entry.zh if language == "zh" else entry.en
    return found.format(**values) if values else found


def as_json() -> dict[str, dict[str, str]]:
    """``{"en": {key: text}, "zh": {...}}``, as the pages load it."""
    return {language: {k: getattr(t, language) for k, t in CATALOGUE.items()} for language in LANGUAGES}
