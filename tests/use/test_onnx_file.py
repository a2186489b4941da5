"""What the exporter can get wrong is found before a file is kept."""

import numpy as np
import pytest
import torch

from mnist_cli.errors import UserError
from mnist_cli.model.trained import TrainedNetwork
from mnist_cli.use.onnx_file import ImagesForm, OnnxFile, compare_images, write_onnx

pytest.importorskip("onnxruntime", reason="needs the extra export")
onnx = pytest.importorskip("onnx", reason="needs the extra export")


def test_a_bias_that_the_exporter_gets_wrong_is_found(reader, tmp_path, test_digits):
    write_onnx(ImagesForm(reader.network), tmp_path / "right.onnx", {})
    model = onnx.load(tmp_path / "right.onnx")
    bias = next(one for one in model.graph.initializer if tuple(one.dims) == (10,))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    images = test_digits[0][:20].unsqueeze(1) / 255
    logits = reader.network(images)
    assert compare_images(OnnxFile(tmp_path / "right.onnx"), images, logits, [1, 7]) < 1e-4
    with pytest.raises(UserError, match=r"logits differ by up to 0\.01"):
        compare_images(OnnxFile(tmp_path / "wrong.onnx"), images, logits, [20])


def test_a_file_with_a_fixed_batch_size_is_found(reader, tmp_path, test_digits):
    form = ImagesForm(reader.network).eval()
    program = torch.onnx.export(form, (form.example(),), output_names=form.outputs, dynamo=True, verbose=False)
    program.save(tmp_path / "fixed.onnx")
    images = test_digits[0][:20].unsqueeze(1) / 255
    with pytest.raises(UserError, match="does not run in onnxruntime for shape"):
        compare_images(OnnxFile(tmp_path / "fixed.onnx"), images, reader.network(images), [7])


def test_a_network_that_onnx_cannot_express_says_so(tmp_path):
    class Depends(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :10] * (1 if images.sum() > 0 else 2)

    with pytest.raises(UserError, match=r"Depends cannot be exported to ONNX .* --format hub"):
        write_onnx(ImagesForm(TrainedNetwork(Depends())), tmp_path / "x.onnx", {})
    assert not list(tmp_path.iterdir())
