"""Writes decisions of a fashion shop as text for vwlite (Open Bandit Dataset, Saito and others 2020, CC BY 4.0).

    python obd.py FOLDER

| file | what it holds |
|---|---|
| random.vw | 10,000 decisions of a policy that showed each of 34 items with the same probability |
| thompson.vw | 10,000 decisions of the same week by the shop's own policy, Thompson sampling |

The campaign is that for men. A click costs -1, no click 0. What users and items are is hashed in the data. Needs the
package obp, which has the data, and none of what it needs: pip install --no-deps 'obp==0.4.*'
"""

import csv
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

FOLDERS = {"random": "random", "thompson": "bts"}


def decisions(folder: Path) -> str:
    """All decisions of a log, in the order of time."""
    with open(folder / "item_context.csv") as file:
        items = [
            f"|item n{row['item_id']} |kind {row['item_feature_1'][:6]} price:{float(row['item_feature_0']):.4g}"
            for row in csv.DictReader(file)
        ]
    lines = []
    with open(folder / "men.csv") as file:
        for row in csv.DictReader(file):
            user = " ".join(f"{k}={row[f'user_feature_{k}'][:6]}" for k in range(4))
            lines.append(f"shared |user {user} |place {row['position']}")
            shown = int(row["item_id"])
            label = f"{shown}:{-int(row['click'])}:{float(row['propensity_score']):.6g} "
            lines += [label * (number == shown) + item for number, item in enumerate(items)]
            lines.append("")
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Writes both logs into the folder, which is created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        found = Path(str(distribution("obp").locate_file("obp/dataset/obd")))
    except PackageNotFoundError:
        raise SystemExit("obd.py: the package obp is missing: pip install --no-deps 'obp==0.4.*'") from None
    for name, policy in FOLDERS.items():
        (folder / f"{name}.vw").write_text(decisions(found / policy / "men"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python obd.py FOLDER")
    main(Path(sys.argv[1]))
