"""The commonest words, or letters, in the text files of a folder: map over the files, then reduce."""

from collections import Counter
from pathlib import Path

from prefectlite import Flow, Parameter, case, merge, task
from prefectlite.signals import SKIP
from prefectlite.tasks.control_flow import FilterTask


@task
def find_files(folder):
    return sorted(Path(folder).glob("*.txt"))


@task
def read(path):
    text = path.read_text(encoding="utf-8")
    if not text:
        raise SKIP(f"{path.name} is empty")
    return text.lower()


@task
def count_words(text):
    return Counter(text.split())


@task
def count_letters(text):
    return Counter(filter(str.isalpha, text))


@task
def add_up(counts):
    return sum(counts, Counter())


@task
def commonest(counts, n):
    return counts.most_common(n)


@task
def write_report(ranking, folder):
    Path(folder, "report").write_text("".join(f"{text} {count}\n" for text, count in ranking))


with Flow("words") as flow:
    folder = Parameter("folder")
    unit = Parameter("unit", default="words")
    texts = FilterTask()(read.map(find_files(folder)))
    with case(unit, "words"):
        words = count_words.map(texts)
    with case(unit, "letters"):
        letters = count_letters.map(texts)
    ranking = commonest(add_up(merge(words, letters)), 2)
    with case(Parameter("report", default=False), True):
        write_report(ranking, folder)

flow.set_reference_tasks([ranking])

if __name__ == "__main__":
    flow.run(folder=".")
