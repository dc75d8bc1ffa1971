"""Executes a command line without a subcommand: a run over data, or a daemon."""

from __future__ import annotations

from vwlite.core.options import Options
from vwlite.engine import daemon_flags
from vwlite.errors import OptionError
from vwlite.report.outputs import pages_of


def execute(options: Options) -> int:
    """Executes a run over data or a daemon, as the options say; returns the exit status."""
    if daemon_flags.wanted(options):
        from vwlite.daemon.start import run as serve

        return serve(options)
    from vwlite.engine.conflicts import check_run
    from vwlite.engine.run import Run

    check_run(options, serving=False)
    pages = pages_of(options["report"])
    if len(pages) > 1:
        raise OptionError(f"--report {' and '.join(pages)}: a run writes one page")
    if pages and not options["dry_run"]:
        from vwlite.pictures.reported_run import ReportedRun

        return ReportedRun(options, pages[0]).main()
    return Run(options).main()
