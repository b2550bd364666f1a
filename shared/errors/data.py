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
    """{file}, line {line}: not UTF-8 text (byte {position}; it looks like {guess}). Save it as
    UTF-8 and upload it again."""

    zh = "{file} 第 {line} 行：不是 UTF-8 文本（第 {position} 字节；看起来是 {guess}）。请另存为 UTF-8 后重新上传。"


class HasNul(BadData):
    """{file}, line {line}: holds a NUL byte, which no text does: it is damaged, or UTF-16. Copy it
    again, or save it as UTF-8."""

    zh = "{file} 第 {line} 行：含有 NUL 字节，文本中不应出现：文件已损坏或为 UTF-16。请重新复制，或另存为 UTF-8。"


class IsFolder(BadData):
    """{file}: this is a folder. Give one file; several can be added one by one and mixed when
    training (`--dataset first,second`)."""

    zh = "{file}：这是一个目录。请给出单个文件；多个文件可逐个登记，训练时混合（`--dataset 甲,乙`）。"


class IsArchive(BadData):
    """{file}: a {kind} archive, which is not unpacked here. Unpack it and give the data file in
    it; a single .gz file can be read as it is."""

    zh = "{file}：这是 {kind} 压缩包，这里不会解包。请自行解包后给出其中的数据文件；单个 .gz 文件可直接读取。"


class IsPickle(BadData):
    """{file}: a Python pickle, which can run code and is never opened. Write its rows as JSON
    lines instead, for example with pandas: `to_json(…, orient="records", lines=True)`."""

    zh = '{file}：这是 Python pickle，可执行代码，绝不会打开。请改存为 JSON Lines，例如 pandas 的 `to_json(…, orient="records", lines=True)`。'


class BadGzip(BadData):
    """{file}, line {line}: the gzip file is damaged or ends too early. Copy or download it again;
    `gzip -t` checks it."""

    zh = "{file} 第 {line} 行：gzip 文件损坏或提前结束。请重新复制或下载；可用 `gzip -t` 检查。"


class TooDense(BadData):
    """{file}, line {line}: unpacks to more than {ratio} times its size, which text never does.
    Unpack it yourself, look at it, and give the plain file if it is right."""

    zh = "{file} 第 {line} 行：解压后超过原大小的 {ratio} 倍，文本不会如此。请自行解压查看，确认无误后给出未压缩的文件。"


class RowTooLong(BadData):
    """{file}, line {line}: one row is longer than {limit} MiB. Write one object a line, and split
    long texts into several rows."""

    zh = "{file} 第 {line} 行：单行超过 {limit} MiB。请每行写一个对象，并把长文本拆成多行。"


class BadParquet(BadData):
    """{file}: not a readable Parquet file ({problem}). Write it again, or give JSON lines."""

    zh = "{file}：不是可读的 Parquet 文件（{problem}）。请重新写出，或改用 JSON Lines。"


class NoHeader(BadData):
    """{file}, line 1: a table needs a first line that names its columns; this one has {found}.
    Known columns: {known}. Add that line, or rename the columns."""

    zh = "{file} 第 1 行：表格首行须为列名；现为 {found}。可用列名：{known}。请补上这一行或改列名。"


class BadTable(BadData):
    """{file}, line {line}: not a valid table ({problem}). Put texts that hold quotes, commas or
    line breaks into quotes, and double the quotes in them."""

    zh = "{file} 第 {line} 行：表格不合法（{problem}）。含引号、逗号或换行的文本须加引号，其中的引号写两遍。"


class UnknownFormat(BadData):
    """{file}, line {line}: no training format has the keys {found}. Known formats: {known}. Rename
    the keys to those of one of them."""

    zh = (
        "{file} 第 {line} 行：没有任何训练格式具有键 {found}。已知格式：{known}。请按其中一种改名。"
    )


class BadTask(UserError):
    """The lm-eval task "{task}" cannot become a benchmark: {problem}."""

    zh = "lm-eval 任务“{task}”无法转为评测集：{problem}。"


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
