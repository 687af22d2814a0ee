"""A release that people have a word in: each package is approved by itself, the announcement once more."""

from pathlib import Path

from prefectlite import Flow, Parameter, pause_task, task, unmapped
from prefectlite.triggers import manual_only


@task
def build(system, version, folder):
    package = Path(folder, f"app-{version}-{system}.pkg")
    package.write_text(f"for {system}")
    return package


@task
def approve(package):
    pause_task(f"publish {package.name}?")
    return package


@task
def publish(package):
    return package.rename(package.with_suffix(".published")).name


@task(trigger=manual_only)
def announce(published):
    return "new: " + ", ".join(published)


with Flow("release") as flow:
    version = Parameter("version", default="1.0")
    packages = build.map(["linux", "mac"], unmapped(version), unmapped(Parameter("folder")))
    announced = announce(publish.map(approve.map(packages)))

if __name__ == "__main__":
    flow.run(folder=".")
