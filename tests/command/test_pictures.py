"""Pictures as plain arguments."""

import json

import pytest

from mnist_cli.command.pictures import collect_pictures
from mnist_cli.errors import UserError
from mnist_cli.runs.settings import load_settings


@pytest.mark.parametrize(
    ("arguments", "pictures", "others"),
    [
        (["a.png", "b/"], ["a.png", "b/"], []),
        (["a.png", "--ckpt_path", "best"], ["a.png"], ["--ckpt_path", "best"]),
        (["--ckpt_path", "best", "--data.images", "a.png", "b.png"], ["a.png", "b.png"], ["--ckpt_path", "best"]),
        (["--data.images=a.png", "--ckpt_path=last"], ["a.png"], ["--ckpt_path=last"]),
        (['--data.images=["a.png", "b.png"]'], ["a.png", "b.png"], []),
    ],
)
def test_pictures_become_one_value_of_the_option(arguments, pictures, others):
    assert collect_pictures(arguments) == [*others, f"--data.images={json.dumps(pictures)}"]


def test_without_pictures_the_arguments_stay():
    assert collect_pictures(["--ckpt_path", "best"]) == ["--ckpt_path", "best"]


def test_more_pictures_than_settings_hold_are_refused():
    names = [f"{n}.png" for n in range(19_000)]
    (option,) = collect_pictures(names)
    assert load_settings(f"data: {{images: {option.partition('=')[2]}}}", "the settings")["data"]["images"] == names
    with pytest.raises(UserError, match="19,001 pictures are named, and 19,000 can be; give their folder"):
        collect_pictures([*names, "one more.png"])
