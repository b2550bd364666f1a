"""The sentences of the starter world: what people do, feel and talk about, in both languages.

Placeholders: P person, O other person, T town, A another town, x thing, ax "a thing", him a
pronoun, n price, shop, weather, time, colour, animal (see `Scene.words`).
"""

from dataclasses import dataclass

from shared.errors import Language

#: Sentences that say the same in each language, any one of a row may be drawn.
Lines = dict[Language, tuple[str, ...]]

#: Characters that join Chinese words; a text is cut at them into words.
JOINERS = "的了在和是把给从到着就又也去来有被向说问"


@dataclass(frozen=True)
class Deed:
    """Something a person does: how a story tells it, and the one sentence that sums it up."""

    told: Lines
    summary: dict[Language, str]


@dataclass(frozen=True)
class Omen:
    """A rule of the world: when `cause` happens, `effect` follows; in plain and in old words."""

    plain: dict[Language, str]
    cause: dict[Language, str]
    effect: dict[Language, str]


OPENINGS: Lines = {
    "en": (
        "It was a {weather} {time} in {T}.",
        "{P} came to {T} on a {weather} {time}.",
        "The streets of {T} were quiet that {time}.",
        "{P} and {O} met in {T} on a {weather} {time}.",
        "One {weather} {time}, {P} walked through {T}.",
    ),
    "zh": (
        "{T}的{time}，天气是{weather}。",
        "{weather}的{time}，{P}来到{T}。",
        "那天{time}，{T}的街上很安静。",
        "{P}和{O}{time}在{T}见面。",
        "一个{weather}的{time}，{P}走过{T}。",
    ),
}
CLOSINGS: Lines = {
    "en": (
        "{O} watched from a window.",
        "The {animal} slept by the door.",
        "Then the bells of {T} rang.",
        "{O} had gone to {A}.",
        "The road to {A} was empty.",
        "{O} talked about the {shop}.",
    ),
    "zh": (
        "{O}在窗边看着。",
        "门边睡着{animal}。",
        "{T}的钟声响了。",
        "{O}已经去了{A}。",
        "去{A}的路上没有人。",
        "{O}说起了{shop}。",
    ),
}
DEEDS = (
    Deed(
        told={
            "en": (
                "{P} saw {ax} at the {shop} and paid {n} coins for it.",
                "{P} asked the price of {ax}, counted {n} coins and took it home.",
            ),
            "zh": (
                "{P}在{shop}看到{ax}，付了{n}个铜钱。",
                "{P}问了{ax}的价钱，数出{n}个铜钱，把它带回家。",
            ),
        },
        summary={"en": "{P} bought {ax} in {T}.", "zh": "{P}在{T}买了{ax}。"},
    ),
    Deed(
        told={
            "en": (
                "{P} had {ax} in a bag, but now the bag was empty.",
                "{P} looked everywhere for the {x}, but it was gone.",
            ),
            "zh": (
                "{P}的袋子里原有{ax}，现在袋子空了。",
                "{P}到处找{x}，可是不见了。",
            ),
        },
        summary={"en": "{P} lost {ax} in {T}.", "zh": "{P}在{T}丢了{ax}。"},
    ),
    Deed(
        told={
            "en": (
                "Under a bench {P} saw {ax} that nobody had missed.",
                "Something lay in the grass; {P} picked it up, and it was {ax}.",
            ),
            "zh": (
                "{P}在长凳下看到{ax}，没有人认领。",
                "草里有东西，{P}捡起来，原来是{ax}。",
            ),
        },
        summary={"en": "{P} found {ax} in {T}.", "zh": "{P}在{T}捡到{ax}。"},
    ),
    Deed(
        told={
            "en": (
                "The {x} was broken, so {P} worked until it was as good as new.",
                "{P} took nails and glue, and the broken {x} was whole again.",
            ),
            "zh": (
                "{x}坏了，{P}忙了很久，它又像新的一样。",
                "{P}拿来钉子和胶水，坏了的{x}又完好了。",
            ),
        },
        summary={"en": "{P} mended {ax} in {T}.", "zh": "{P}在{T}修好{ax}。"},
    ),
    Deed(
        told={
            "en": (
                "{P} took a brush and soon the old {x} was {colour}.",
                "The old {x} looked dull, and {P} made it {colour}.",
            ),
            "zh": (
                "{P}拿起刷子，旧{x}很快成了{colour}。",
                "旧{x}不好看，{P}把它变成{colour}。",
            ),
        },
        summary={"en": "{P} painted {ax} in {T}.", "zh": "{P}在{T}漆了{ax}。"},
    ),
    Deed(
        told={
            "en": (
                "{P} put {ax} on a table, and a stranger paid {n} coins for it.",
                "A stranger wanted the {x}, and {P} let it go for {n} coins.",
            ),
            "zh": (
                "{P}把{ax}摆上桌，一个路人付了{n}个铜钱。",
                "路人想要{x}，{P}收了{n}个铜钱给了他。",
            ),
        },
        summary={"en": "{P} sold {ax} in {T}.", "zh": "{P}在{T}卖了{ax}。"},
    ),
)
#: Label -> what happens to somebody who then feels so. The label itself is never in the text.
MOODS: dict[tuple[str, str], Lines] = {
    ("happy", "高兴"): {
        "en": (
            "{O} gave {P} the {x} as a present.",
            "After a long time {P} found the old {x} again.",
            "{P} won the race in {T} and got {ax}.",
            "Everybody in {T} clapped for {P} and the new {x}.",
        ),
        "zh": (
            "{O}把{x}当礼物给了{P}。",
            "过了很久，{P}又找到了旧{x}。",
            "{P}在{T}的比赛中得了第一，得到{ax}。",
            "{T}的人都为{P}和新{x}鼓掌。",
        ),
    },
    ("sad", "难过"): {
        "en": (
            "The {x} of {P} fell into the river and was gone.",
            "{O} moved away from {T} and left {P} only {ax}.",
            "The {animal} of {P} was ill and lay beside the {x}.",
            "Nobody came to see {P} and the {x} in {T}.",
        ),
        "zh": (
            "{P}的{x}掉进河里，再也没有了。",
            "{O}搬离了{T}，只给{P}留下{ax}。",
            "{P}的{animal}病了，躺在{x}旁边。",
            "在{T}，没有人来看{P}和{x}。",
        ),
    },
    ("angry", "生气"): {
        "en": (
            "{O} took the {x} of {P} without asking.",
            "{O} broke the {x} and laughed at {P}.",
            "In {T} {P} paid for {ax} but got only an empty box.",
            "Somebody threw mud on the new {x} of {P}.",
        ),
        "zh": (
            "{O}没问一声就拿走了{P}的{x}。",
            "{O}弄坏了{x}，还笑话{P}。",
            "{P}在{T}付了{x}的钱，却只拿到空盒子。",
            "有人往{P}的新{x}上扔泥巴。",
        ),
    },
    ("afraid", "害怕"): {
        "en": (
            "A wolf howled in {T} while {P} held the {x}.",
            "The bridge shook, and {P} could only hold on to the {x}.",
            "It was dark, and the {x} of {P} moved by itself.",
            "Thunder hit the house in {T} where {P} kept the {x}.",
        ),
        "zh": (
            "{P}拿着{x}时，{T}有狼在叫。",
            "桥晃了起来，{P}只能抓住{x}。",
            "天很黑，{P}的{x}自己动了。",
            "雷打中了{T}的房子，{P}的{x}就在里面。",
        ),
    },
}
#: Label -> what a little text is about.
TOPICS: dict[tuple[str, str], Lines] = {
    ("trade", "买卖"): {
        "en": (
            "In {T} {ax} costs {n} coins now, said {P}.",
            "{P} counted {n} coins for the {x} before the {shop} of {T} closed.",
            "{P} and {O} could not agree what the {x} was worth.",
        ),
        "zh": (
            "{P}说，{T}的{x}现在要{n}个铜钱。",
            "{T}的{shop}关门前，{P}为{x}数了{n}个铜钱。",
            "{x}值多少，{P}和{O}说不到一起。",
        ),
    },
    ("travel", "旅行"): {
        "en": (
            "{P} left {T} with the {x} and took the road to {A}.",
            "{P} carried the {x} on foot for two days, from {T} to {A}.",
            "The coach from {A} came late, so {P} waited in {T} with the {x}.",
        ),
        "zh": (
            "{P}带着{x}离开{T}，走上去{A}的路。",
            "{P}背着{x}走了两天，从{T}到{A}。",
            "{A}来的马车晚了，{P}带着{x}在{T}等。",
        ),
    },
    ("animals", "动物"): {
        "en": (
            "The {animal} of {P} ran behind the {x} in {T}.",
            "{P} fed the {animal} beside the {x} before {O} woke up.",
            "In {T} the {animal} slept on the {x} of {P}.",
        ),
        "zh": (
            "{P}的{animal}跑到{T}的{x}后面。",
            "{O}醒来前，{P}在{x}旁边喂了{animal}。",
            "在{T}，{animal}睡在{P}的{x}上。",
        ),
    },
    ("weather", "天气"): {
        "en": (
            "Clouds came over {T}, so {P} took the {x} inside.",
            "The wind in {T} blew the {x} away from {P}.",
            "{P} saw snow on the {x} and on all roofs of {T}.",
        ),
        "zh": (
            "乌云来到{T}，{P}把{x}收进屋。",
            "{T}的大风把{P}的{x}吹走了。",
            "{P}看到{x}和{T}的屋顶上都是雪。",
        ),
    },
}
#: Mood or topic (its English label) -> how such a story goes on. The bases meet these, and so
#: know what kind of event they have read; what the kind is called only an adapter learns.
AFTERMATHS: dict[str, Lines] = {
    "happy": {
        "en": ("{P} smiled and danced.", "{P} laughed and hugged everybody."),
        "zh": ("{P}笑着跳起舞来。", "{P}笑了，拥抱了大家。"),
    },
    "sad": {
        "en": ("{P} sat down and wept.", "{P} wept and did not eat."),
        "zh": ("{P}坐下哭了。", "{P}哭了，饭也不吃。"),
    },
    "angry": {
        "en": ("{P} shouted and shut the door.", "{P} shouted and went red."),
        "zh": ("{P}大叫着关上门。", "{P}大叫起来，脸都红了。"),
    },
    "afraid": {
        "en": ("{P} trembled and hid.", "{P} ran away and trembled."),
        "zh": ("{P}发抖，躲了起来。", "{P}跑开了，还在发抖。"),
    },
    "trade": {
        "en": ("The purse of {P} was light.", "Coins went from hand to hand."),
        "zh": ("{P}的钱袋轻了。", "铜钱从一只手到另一只手。"),
    },
    "travel": {
        "en": ("The road was long.", "The road was full of dust."),
        "zh": ("路很长。", "路上都是尘土。"),
    },
    "animals": {
        "en": ("It wanted hay and water.", "It had soft ears."),
        "zh": ("它想要草和水。", "它的耳朵很软。"),
    },
    "weather": {
        "en": ("The sky stayed grey.", "The sky was cold."),
        "zh": ("天空还是灰的。", "天空很冷。"),
    },
}
OMENS = (
    Omen(
        plain={
            "en": "When it rains for long in {T}, the river rises.",
            "zh": "{T}下雨久了，河水就会上涨。",
        },
        cause={
            "en": "for seven days the rain fell, and {P} of {T} did guard the {x}.",
            "zh": "大雨七日不止，{T}{P}守着{x}。",
        },
        effect={
            "en": "Then did the river rise, and {P} fled with the {x} unto the hills.",
            "zh": "于是河水暴涨，{P}携{x}奔上高冈。",
        },
    ),
    Omen(
        plain={
            "en": "When the owl of {T} calls at noon, a guest comes before night.",
            "zh": "{T}的猫头鹰中午叫，天黑前就有客人来。",
        },
        cause={
            "en": "at noon the owl did call in {T}, while {P} was making {ax}.",
            "zh": "正午枭鸣于{T}，{P}方制{x}。",
        },
        effect={
            "en": "Ere night came a guest, and {P} gave him the {x} with both hands.",
            "zh": "未及天黑，有客来访，{P}双手奉上{x}。",
        },
    ),
    Omen(
        plain={
            "en": "Whoever finds a lost thing in {T} brings it to the mayor.",
            "zh": "在{T}捡到东西的人，都会交给镇长。",
        },
        cause={
            "en": "{P} did walk in {T} and beheld {ax} in the dust.",
            "zh": "{P}行至{T}，见尘中有{x}。",
        },
        effect={
            "en": "Straightway {P} bore the {x} unto the mayor, who praised {him} greatly.",
            "zh": "{P}即刻将{x}献与镇长，镇长大喜。",
        },
    ),
    Omen(
        plain={
            "en": "When the bells of {T} ring twice, all shops close.",
            "zh": "{T}的钟响两次，店铺就都关门。",
        },
        cause={
            "en": "{P} desired {ax} of {T}, but lo, the bells rang twice.",
            "zh": "{P}欲购{T}之{x}，忽闻钟鸣两声。",
        },
        effect={
            "en": "Thus were all doors shut, and {P} went home without the {x}, weeping.",
            "zh": "众店皆闭，{P}不得{x}，含泪而归。",
        },
    ),
    Omen(
        plain={
            "en": "Who shares bread in {T} gets a present the next day.",
            "zh": "在{T}分面包给别人，第二天会收到礼物。",
        },
        cause={
            "en": "{P} of {T} did sell the {x} for bread and gave it unto a beggar.",
            "zh": "{T}{P}以{x}换饼，分与乞者。",
        },
        effect={
            "en": "And on the morrow the {x} lay again before the door of {P}.",
            "zh": "次日，{x}竟又在{P}门前，不知何人所还。",
        },
    ),
    Omen(
        plain={
            "en": "When fog lies on {T}, the geese go home alone.",
            "zh": "{T}起雾时，大鹅会自己回家。",
        },
        cause={
            "en": "thick fog lay upon {T}, and {P} lost both the geese and the {x}.",
            "zh": "大雾锁{T}，{P}失其鹅，亦失{x}。",
        },
        effect={
            "en": "Yet the geese came home alone, and upon the first hung the {x} of {P}.",
            "zh": "不料鹅自归来，颈上正挂着{P}之{x}。",
        },
    ),
)
#: The questions of the skills: a mood, a topic, a summary, a continuation.
ASK: Lines = {
    "en": (
        "How does {P} feel? Answer in one word.",
        "What is it about? Answer in one word.",
        "Sum up in one sentence: who did what where?",
        "Go on with the old tale.",
    ),
    "zh": (
        "{P}的心情怎样？用一个词回答。",
        "这段话讲的是什么？用一个词回答。",
        "用一句话概括：谁在哪里做了什么？",
        "续写这段古话。",
    ),
}
#: How an old tale begins.
HAIL: Lines = {
    "en": ("Hearken, good people: ", "It came to pass that ", "Thus tell the elders: "),
    "zh": ("话说", "却说", "古书有云："),
}
