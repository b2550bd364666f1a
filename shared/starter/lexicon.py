"""The words of the starter world: every person, town and thing in English and in Chinese."""

from dataclasses import dataclass

from shared.errors import Language


@dataclass(frozen=True)
class Word:
    """One concept of the world in both languages."""

    en: str
    zh: str
    #: Measure word of a Chinese noun, e.g. 只 in 一只风筝.
    measure: str = "个"

    def name(self, language: Language) -> str:
        """The bare word."""
        return self.zh if language == "zh" else self.en

    def one(self, language: Language) -> str:
        """The word with an indefinite article or 一 and its measure word."""
        if language == "zh":
            return f"一{self.measure}{self.zh}"
        return f"{'an' if self.en[0] in 'aeiou' else 'a'} {self.en}"


def _words(*rows: str) -> tuple[Word, ...]:
    return tuple(Word(*cell.split(":")) for row in rows for cell in row.split())


WOMEN = _words("Mia:米娅 Anna:安娜 Lucy:露西 Rosa:罗莎 Nora:诺拉 Ella:艾拉 Ruth:露丝 Iris:艾丽")
MEN = _words("Tom:汤姆 Ben:本恩 Paul:保罗 Jack:杰克 Hugo:雨果 Leo:里奥 Max:马克 Oscar:奥斯")
PEOPLE = WOMEN + MEN

TOWNS = _words(
    "Willowby:柳村 Redhill:红山 Stonebridge:石桥 Fishport:渔港 Oakham:橡镇 Sandbay:沙湾",
    "Millford:磨坊镇 Greenfield:绿野 Snowpeak:雪峰 Longlake:长湖",
)
THINGS = _words(
    "kite:风筝:只 lamp:油灯:盏 bell:铜铃:只 drum:小鼓:面 clock:座钟:座 chair:椅子:把",
    "basket:篮子:只 umbrella:雨伞:把 book:旧书:本 map:地图:张 hat:草帽:顶 coat:大衣:件",
    "boat:木船:条 cart:推车:辆 mirror:镜子:面 violin:提琴:把",
)
ANIMALS = _words(
    "dog:小狗:只 cat:花猫:只 goat:山羊:只 horse:白马:匹 duck:鸭子:只 owl:猫头鹰:只",
    "rabbit:兔子:只 parrot:鹦鹉:只 donkey:毛驴:头 goose:大鹅:只",
)
TRADES = _words(
    "baker:面包师:位 teacher:教师:位 farmer:农夫:位 sailor:水手:位 doctor:医生:位 miller:磨坊主:位",
    "tailor:裁缝:位 painter:画师:位 gardener:园丁:位 smith:铁匠:位",
)
SHOPS = _words(
    "market:集市 bakery:面包房 bookshop:书店 harbour:码头",
    "workshop:作坊 inn:客栈 school:学校 mill:磨坊",
)
WEATHERS = _words("rainy:下雨 sunny:晴朗 windy:刮风 foggy:起雾 snowy:下雪 cloudy:多云")
TIMES = _words("morning:早晨 noon:中午 evening:傍晚 night:夜里")
COLOURS = _words("red:红色 blue:蓝色 green:绿色 yellow:黄色 white:白色 black:黑色")
FOODS = _words(
    "bread:面包 soup:热汤 cheese:奶酪 plums:李子 rice:米饭 honey:蜂蜜 pears:梨子 fish:鲜鱼"
)
NUMBERS = _words("two:两 three:三 four:四 five:五 six:六 seven:七 eight:八 nine:九 ten:十")
PETS = _words("Pip:皮皮 Dot:点点 Bobo:波波 Momo:毛毛 Kiki:奇奇 Tuto:土土")
