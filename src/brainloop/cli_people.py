"""The commands about people, `people list`, `people export` and `people erase`; thin, as those of `brainloop.cli`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainloop.errors import BrainloopError
from brainloop.terminal import bar, out

if TYPE_CHECKING:
    from brainloop.report.people import PersonFindings

__all__ = ["people"]

StudyFolder = Annotated[Path, typer.Argument(metavar="STUDY", help="The study's folder.")]
Name = Annotated[str, typer.Argument(metavar="PERSON", help="As `people list` shows it.")]

people = typer.Typer(help="Who looked: list them, give them a copy, erase them.", no_args_is_help=True)


@people.command("list")
def list_people(folder: StudyFolder) -> None:
    """List everybody of whom a study holds anything; where two or more looked, how well, and what it counts."""
    from brainloop.people import people as find
    from brainloop.report.people import people_findings
    from brainloop.study import Study

    study = Study.open(folder)
    found = find(study)
    if not found:
        out.print("Nobody has looked yet.")
        return
    trouble = None
    try:
        came_to = {one.name: one for one in people_findings(study)}
    except BrainloopError as error:  # such as images that are not there: what is kept of people is known all the same
        came_to, trouble = {}, error
    width = max(len("person"), *(len(one.name) for one in found))
    out.print(
        f"{'person':{width}}  consented             sessions   recorded   decoder  responses  corrections   AUC  weight"
    )
    for one in found:
        when = (one.consented or "unknown")[:19]
        out.print(
            f"{one.name:{width}}  {when:19}  {one.sessions:9d}   {one.seconds / 60:4.1f} min"
            f"   {'yes' if one.decoder else 'no':7}  {one.responses:9d}  {one.corrections:11d}"
            f"  {_measured(came_to.get(one.name))}"
        )
    for warning in [one.warning for one in came_to.values() if one.warning]:
        out.print(f"{warning}.")
    if trouble:
        out.print(f"AUC and weight are not known here: {trouble}")


def _measured(one: "PersonFindings | None") -> str:
    if one is None or not one.stretches:
        return f"{'-':>4}  {'-':>6}"
    return f"{'-' if one.auc is None else f'{one.auc:.2f}':>4}  {one.weight:6.2f}"


@people.command("export")
def export(
    folder: StudyFolder,
    person: Name,
    path: Annotated[Path, typer.Option("--out", help="A new or empty folder, outside of the study.")],
) -> None:
    """Copy everything that a study holds of a person: recordings, decoder, evidence, corrections, consent."""
    from brainloop.people import export_person
    from brainloop.study import Study

    out.print(f"Everything of {person}: {export_person(Study.open(folder), person, path)}")


@people.command("erase")
def erase(
    folder: StudyFolder,
    person: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a person from a study, and train again without them; print what went."""
    from brainloop.people import erase_person
    from brainloop.study import Study

    study = Study.open(folder)
    if not yes:
        typer.confirm(f"Erase {person} from {folder}? This cannot be undone", abort=True)
    with bar("training") as progress:
        erasure = erase_person(study, person, progress=progress)
    out.print(f"{erasure.name} is erased from {folder}:")
    for what, much in erasure.went:
        out.print(f"  {what}: {much}")
