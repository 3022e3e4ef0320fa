"""`livebot models list|show|promote|rollback|prune|coverage`: the versions of models, and which of them is used.

Rules of this file: results go to stdout; everything heavy is imported when a command runs.
"""

from pathlib import Path
from typing import Annotated

import typer

from livebot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, root_option

EXIT_WRONG = 3
MOST_KEPT = 1_000_000
EXAMPLES = {
    "list": "livebot models list",
    "show": "livebot models show ema_cross",
    "promote": "livebot models promote ema_cross/20260131T120000Z-0123abcd",
    "rollback": "livebot models rollback ema_cross",
    "prune": "livebot models prune --yes",
    "coverage": "livebot models coverage --json",
}

RootOption = Annotated[Path | None, root_option("models/ and state/")]
ModelArgument = Annotated[
    str, typer.Argument(metavar="SCOPE[/VERSION]", help="Such as ema_cross/20260131T120000Z-0123abcd.")
]
VersionArgument = Annotated[
    str, typer.Argument(metavar="SCOPE/VERSION", help="Such as ema_cross/20260131T120000Z-0123abcd.")
]
ScopeArgument = Annotated[str, typer.Argument(metavar="SCOPE", help="Such as ema_cross.")]


def show_all(*, config: ConfigOption = DEFAULT_CONFIG, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Say which versions of models there are, and which are used.

    A version that could not be used (altered, of other libraries or other features) is shown with the reason.
    """
    from livebot.bootstrap.model_commands import ModelDesk
    from livebot.cli.models_view import print_list

    print_list(ModelDesk(config, root).listed(), as_json=as_json)


def show(
    model: ModelArgument, *, config: ConfigOption = DEFAULT_CONFIG, root: RootOption = None, as_json: JsonOption = False
) -> None:
    """Show what a version is, how it was trained, and how it scored.

    Without a version, the one in use.  It is loaded and asked its golden rows; exits 3 if it could not be used.
    """
    from livebot.bootstrap.model_commands import ModelDesk
    from livebot.cli.models_view import print_shown

    shown = ModelDesk(config, root).show(model)
    print_shown(shown, as_json=as_json)
    if shown.problem is not None:
        raise typer.Exit(EXIT_WRONG)


def promote(
    model: VersionArgument,
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use a version from now on.

    It is checked first as the daemon checks it: seal, libraries, features, digest, golden rows.  A running daemon takes it
    into use by itself; signals that are open keep the version that opened them.
    """
    from livebot.bootstrap.model_commands import ModelDesk
    from livebot.cli.models_view import print_change

    print_change(ModelDesk(config, root).promote(model), as_json=as_json)


def rollback(
    scope: ScopeArgument, *, config: ConfigOption = DEFAULT_CONFIG, root: RootOption = None, as_json: JsonOption = False
) -> None:
    """Use the version before again.

    It is checked as with promote; a second rollback goes forth again.
    """
    from livebot.bootstrap.model_commands import ModelDesk
    from livebot.cli.models_view import print_change

    print_change(ModelDesk(config, root).rollback(scope), as_json=as_json)


def prune(
    scope: Annotated[
        str | None, typer.Argument(metavar="SCOPE", help="Such as ema_cross; without it, all.", show_default=False)
    ] = None,
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path | None, root_option("models/ and signals/")] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MOST_KEPT,
            help="Keep the newest N (retrain.keep_versions).",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only named.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove versions that nobody needs any more; without --yes, only say which.

    Kept are the newest of each scope, the one in use, the one before, the challenger, the parents of all these, and those by
    which a signal was opened that is not closed yet.  A training does the same when it ends.
    """
    from livebot.bootstrap.model_commands import ModelDesk
    from livebot.cli.models_view import print_pruned

    pruned = ModelDesk(config, root).prune(scope, keep, remove=yes)
    print_pruned(pruned, as_json=as_json)
    if pruned.problems:
        raise typer.Exit(EXIT_WRONG)


def coverage(*, config: ConfigOption = DEFAULT_CONFIG, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Say which symbols the models in use cover, and which wait for training."""
    from livebot.bootstrap.model_commands import ModelDesk
    from livebot.cli.models_view import print_coverage

    print_coverage(ModelDesk(config, root).coverage(), as_json=as_json)
