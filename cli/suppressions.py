"""`sojourn suppressions`: the keys under which suppressed addresses are hidden."""

import typer

from cli.client import client
from cli.console import out

app = typer.Typer(help="Addresses that nothing may be sent to.", no_args_is_help=True)


@app.command()
def rekey() -> None:
    """Hide every suppression that can be under the newest of SOJOURN_SUPPRESSION_KEYS, and say how many need an older key still."""
    with client() as sojourn:
        told = sojourn.post("/v1/suppressions/rekey")
    out.print(f"Under the newest key now: {told['rekeyed']} more.")
    if told["left"]:
        out.print(f"{told['left']} stand under an older key, of addresses that nobody has any more: keep that key in the setting.")
