"""The answers of a survey, unpacked into a folder that is gone afterwards, whatever happens in between."""

import csv
import json
import shutil
import tempfile
from pathlib import Path

from prefectlite import Flow, Parameter, resource_manager, task


@resource_manager
class Scratch:
    def __init__(self, beside):
        self.beside = beside

    def setup(self):
        return tempfile.mkdtemp(prefix="scratch-", dir=self.beside)

    def cleanup(self, folder):
        shutil.rmtree(folder)


@task
def unpack(archive, folder):
    shutil.unpack_archive(archive, folder)
    return sorted(Path(folder).glob("*.csv"))


@task
def convert(path):
    with path.open(newline="") as file:
        ages = {row["name"]: int(row["age"]) for row in csv.DictReader(file)}
    converted = path.with_suffix(".json")
    converted.write_text(json.dumps(ages))
    return converted


@task
def publish(converted, out):
    together = {}
    for path in converted:
        together |= json.loads(path.read_text())
    Path(out, "ages.json").write_text(json.dumps(together))
    return len(together)


@task
def announce(count):
    return f"{count} people answered"


with Flow("survey") as flow:
    out = Parameter("out")
    with Scratch(out) as folder:
        files = unpack(Parameter("archive"), folder)
        count = publish(convert.map(files), out)
    announce(count)

if __name__ == "__main__":
    flow.run(archive="survey.zip", out=".")
