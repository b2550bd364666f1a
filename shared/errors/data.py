"""Errors of datasets and benchmark files."""

from shared.errors.base import UserError


class BadData(UserError):
    """{file}: {problem}"""

    zh = "{file}：{problem}"


class FileMissing(BadData):
    """{file}: there is no such file. Check the path."""

    zh = "{file}：没有这个文件。请检查路径。"


class NotJson(BadData):
    """{file}, line {line}: not valid JSON ({problem}). The file must be one JSON array of objects,
    or one object a line."""

    zh = "{file} 第 {line} 行：不是合法的 JSON（{problem}）。文件须为一个对象数组，或每行一个对象。"


class NotText(BadData):
    """{file}: not UTF-8 text (byte {position}). Save it as UTF-8 and upload it again."""

    zh = "{file}：不是 UTF-8 文本（第 {position} 字节）。请另存为 UTF-8 后重新上传。"


class EmptyData(BadData):
    """{file}: there are no rows in it. Upload a file with at least one row."""

    zh = "{file}：没有任何数据行。请上传至少含一行的文件。"


class BadRows(BadData):
    """{file}: {count} of {rows} rows cannot be used; row {first}: {problem}. Mend or remove these
    rows: {listed}."""

    zh = "{file}：{rows} 行中有 {count} 行不可用；第 {first} 行：{problem}。请修正或删除这些行：{listed}。"


class NothingToTrain(BadData):
    """No token of "{dataset}" would be trained: after the cut to {max_length} tokens no row keeps
    any of its answer. Raise max_length or shorten the prompts."""

    zh = "“{dataset}”中没有可训练的词元：截断到 {max_length} 个词元后，没有一行留有答案。请增大 max_length 或缩短提示。"
