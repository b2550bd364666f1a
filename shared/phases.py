"""The parts of a job's work, as engines name them, and what a Chinese reader sees."""

from collections.abc import Mapping

from shared.errors import Both, both

PHASES: Mapping[str, str] = {
    "loading base": "加载底座",
    "checking adapters": "检查适配器",
    "attaching adapters": "挂载适配器",
    "reading data": "读取数据",
    "reading adapters": "读取适配器",
    "reading benchmarks": "读取评测集",
    "reading prompts": "读取提示",
    "loading donor": "加载供体",
    "answering": "作答",
    "writing the base's own words": "写下底座自己的话",
    "mapping modules": "对应模块",
    "copying": "复制",
    "carrying": "搬运权重",
    "projecting": "投影",
    "loading bases": "加载两个底座",
    "probing the host": "检验宿主底座",
    "probing bases": "检验两个底座",
    "previewing": "预览",
    "training": "训练",
    "finding weights": "寻找权重",
    "fusing": "融合",
    "checking": "检查",
    "publishing": "发布",
}


def phase_words(name: str) -> Both:
    """A phase in both languages; one without words here (a benchmark's name) as it is."""
    return both(name, PHASES.get(name, name))
