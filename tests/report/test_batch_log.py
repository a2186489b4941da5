"""A batch an epoch in TensorBoard: the label of each image below it, by class name, and the quick start's tags."""

import io

import lightning.pytorch as pl
import numpy as np
from helpers import RUN, events
from PIL import Image

from mnist_cli import MLP, DigitDataModule, DigitModule
from mnist_cli.report.batch_log import BatchLog, labelled_grid


def test_images_labels_and_answers_have_the_tags_of_the_quick_start(trained):
    tags = events(trained / RUN).Tags()
    assert {f"{stage}/inputs" for stage in ("train", "val", "test")} <= set(tags["images"])
    texts = {f"{stage}/{kind}/text_summary" for stage in ("train", "val", "test") for kind in ("targets", "preds")}
    assert texts <= set(tags["tensors"])


def test_inputs_are_logged_once_an_epoch_with_their_own_labels(trained, test_digits):
    log = events(trained / RUN)
    assert [len(log.Images(f"{stage}/inputs")) for stage in ("train", "val", "test")] == [2, 2, 1]
    (text,) = log.Tensors("test/targets/text_summary")
    assert text.tensor_proto.string_val[0].decode() == ", ".join(map(str, test_digits[1][:64].tolist()))


def red_rows(grid):
    """How many pixels of each row of cards are red."""
    pixels = np.asarray(grid).astype(int)
    red = pixels[..., 0] - pixels[..., 1] > 60
    return red.sum(1)


def test_the_label_stands_below_its_image_and_a_wrong_answer_in_red(test_digits):
    images = test_digits[0][:9, None] / 255
    names = ["T-shirt", "trouser", *"234567", "boot"]
    grids = [labelled_grid(images, names, [*names[:-1], last]).convert("RGB") for last in ("boot", "bag")]
    plain, wrong = (np.asarray(grid) for grid in grids)
    height = len(plain) // 2
    enlarged = np.asarray(Image.fromarray(test_digits[0][0].numpy()).resize((56, 56), 0)).astype(int)
    assert abs(plain[6:62, 6:62] - enlarged[..., None]).max() <= 1  # 128 levels of grey
    for at in range(8):  # below every image of the first row there is something written
        left = 6 + at * 62
        assert (plain[62:75, left : left + 56] < 128).any()
    assert red_rows(plain).sum() == 0
    assert red_rows(wrong)[:height].sum() == 0
    assert red_rows(wrong)[height:].sum() > 20
    assert (plain != wrong).any(2).any(0).nonzero()[0].max() < 62, "only the ninth image, which is the first of its row"


def test_a_batch_is_shown_at_the_number_of_steps_that_were_done(trained):
    log = events(trained / RUN)
    assert [event.step for event in log.Images("train/inputs")] == [1, 41]
    assert [event.step for event in log.Images("val/inputs")] == [40, 80]
    (test,) = log.Images("test/inputs")
    assert test.step == 80
    with Image.open(io.BytesIO(test.encoded_image_string)) as picture:
        assert picture.size == (8 * 62 + 6, 8 * 88 + 6)


def test_the_log_changes_nothing_that_its_user_has_frozen(data_dir):
    module = DigitModule(MLP([16], batch_norm=True, dropout=0.5))
    modes = []

    class Frozen(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            pl_module.net.layers[2].eval()

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            modes.append([part.training for part in pl_module.net.layers])

    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False)
    trainer = pl.Trainer(max_steps=2, limit_val_batches=0, callbacks=[BatchLog(), Frozen()], **quiet)
    trainer.fit(module, DigitDataModule(data_dir=data_dir))
    assert modes == [[True, True, False, True, True, True]] * 2
