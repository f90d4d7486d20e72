"""Writes the zoo of PyTorch: small image classifiers with drawn weights, through both of PyTorch's exporters.

    pip install -r requirements.txt
    python make.py FOLDER [NAME...]

Nothing is downloaded. NAME_torchscript.onnx and NAME_dynamo.onnx each; the batch is open. Weights are drawn from a fixed seed,
statistics of batch normalisation are those of one pass over noise, and the classes' biases are shifted so that several classes occur.
"""

import sys
import warnings

import timm
import torch
from timm import models as T
from torch import nn
from torchvision import models as V
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.googlenet import BasicConv2d

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
CLASSES = 8


class Preactivated(nn.Module):
    """PreActResNet: no rectifier after the last sum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1)
        block = lambda: nn.Sequential(
            nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1),
            nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1))
        self.blocks = nn.ModuleList([block(), block()])
        self.classes = nn.Linear(16, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        x = nn.functional.avg_pool2d(x, 32)
        return self.classes(x.view(x.size(0), -1))


class MiniXception(nn.Module):
    """Separable convolutions with shortcuts; the channels of its pooling are the classes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks, self.shortcuts = nn.ModuleList(), nn.ModuleList()
        for c, d in ((8, 16), (16, 32)):
            self.blocks.append(nn.Sequential(
                nn.Conv2d(c, c, 3, 1, 1, groups=c, bias=False), nn.Conv2d(c, d, 1, bias=False), nn.BatchNorm2d(d), nn.ReLU(),
                nn.Conv2d(d, d, 3, 1, 1, groups=d, bias=False), nn.Conv2d(d, d, 1, bias=False), nn.BatchNorm2d(d),
                nn.MaxPool2d(3, 2, 1)))
            self.shortcuts.append(nn.Sequential(nn.Conv2d(c, d, 1, 2, bias=False), nn.BatchNorm2d(d)))
        self.out = nn.Conv2d(32, CLASSES, 3, 1, 1)

    def forward(self, x):
        x = self.stem(x)
        for block, shortcut in zip(self.blocks, self.shortcuts):
            x = block(x) + shortcut(x)
        return torch.flatten(nn.functional.adaptive_avg_pool2d(self.out(x), 1), 1)


class FaceNet(nn.Module):
    """The lab's shape: two dense branches, one behind a further convolution, are added."""

    def __init__(self):
        super().__init__()
        step = lambda c, d: nn.Sequential(nn.Conv2d(c, d, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.trunk = nn.Sequential(step(3, 8), step(8, 12))
        self.last = nn.Sequential(nn.Conv2d(12, 16, 2), nn.ReLU())
        self.left, self.right = nn.Linear(12 * 36, 20), nn.Linear(16 * 25, 20)
        self.classes = nn.Linear(20, CLASSES)

    def forward(self, x):
        x = self.trunk(x)
        return self.classes(torch.relu(self.left(x.flatten(1)) + self.right(self.last(x).flatten(1))))


def lenet():
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 32), nn.Tanh(), nn.Linear(32, CLASSES))


def network_in_network():
    step = lambda c, d: [nn.Conv2d(c, d, 3, 1, 1), nn.ReLU(), nn.Conv2d(d, d, 1), nn.ReLU()]
    return nn.Sequential(*step(3, 16), nn.MaxPool2d(2), *step(16, 24), nn.MaxPool2d(2), *step(24, 32),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES))


def all_convolutions():
    steps = [layer for i in range(4)
             for layer in (nn.Conv2d(16, 16, 3, 2 - i % 2, 1), nn.BatchNorm2d(16), nn.ReLU())]
    return nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), *steps, nn.Flatten(),
                         nn.Linear(256, CLASSES))


def vgg():
    layers = V.vgg.make_layers([8, "M", 16, "M", 24, 24, "M", 32, 32, "M"], batch_norm=True)
    return nn.Sequential(layers, nn.Flatten(), nn.Linear(128, 48), nn.ReLU(), nn.Dropout(), nn.Linear(48, CLASSES))


class Inception(nn.Module):
    """Branches side by side, joined by their channels."""

    def __init__(self, channels):
        super().__init__()
        block = BasicConv2d
        self.branches = nn.ModuleList([
            block(channels, 8, kernel_size=1),
            nn.Sequential(block(channels, 6, kernel_size=1), block(6, 8, kernel_size=3, padding=1)),
            nn.Sequential(block(channels, 4, kernel_size=1), block(4, 6, kernel_size=5, padding=2)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), block(channels, 6, kernel_size=1))])

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def googlenet():
    return nn.Sequential(BasicConv2d(3, 12, kernel_size=3, stride=2), nn.MaxPool2d(3, 2, ceil_mode=True),
                         Inception(12), nn.MaxPool2d(3, 2, ceil_mode=True), Inception(28), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Dropout(), nn.Linear(28, CLASSES))


def alexnet():
    step = lambda c, d, k: [nn.Conv2d(c, d, k, 1, k // 2), nn.ReLU()]
    return nn.Sequential(*step(3, 8, 5), nn.MaxPool2d(3, 2), *step(8, 16, 5), nn.MaxPool2d(3, 2), *step(16, 24, 3),
                         *step(24, 16, 3), *step(16, 16, 3), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Dropout(),
                         nn.Linear(144, 48), nn.ReLU(), nn.Linear(48, CLASSES))


def timm_model(name, **options):
    return timm.create_model(name, pretrained=False, num_classes=CLASSES, **options)


# name: (builder, side of the images)
NETWORKS = {
    "lenet": (lenet, 32),
    "facenet": (FaceNet, 32),
    "nin": (network_in_network, 32),
    "allconv": (all_convolutions, 32),
    "preactresnet": (Preactivated, 32),
    "mini_xception": (MiniXception, 32),
    "vgg": (vgg, 32),
    "alexnet": (alexnet, 32),
    "resnet_basic": (lambda: T.ResNet(T.resnet.BasicBlock, [1, 1, 1, 1], num_classes=CLASSES, channels=(8, 12, 16, 24)), 32),
    "resnet_bottleneck": (lambda: T.ResNet(T.resnet.Bottleneck, [1, 1, 1, 1], num_classes=CLASSES, channels=(8, 12, 16, 24)), 32),
    "resnext": (lambda: T.ResNet(T.resnet.Bottleneck, [1, 1, 1, 1], num_classes=CLASSES, channels=(8, 8, 16, 16), cardinality=4,
                                 base_width=16), 32),
    "seresnet": (lambda: T.ResNet(T.resnet.BasicBlock, [1, 1, 1, 1], num_classes=CLASSES, channels=(8, 12, 16, 24),
                                  block_args={"attn_layer": "se"}), 32),
    "ecaresnet": (lambda: T.ResNet(T.resnet.BasicBlock, [1, 1, 1, 1], num_classes=CLASSES, channels=(8, 12, 16, 24),
                                   block_args={"attn_layer": "eca"}), 32),
    "densenet": (lambda: V.DenseNet(8, (2, 2, 2), 16, num_classes=CLASSES), 32),
    "googlenet": (googlenet, 32),
    "squeezenet": (lambda: V.SqueezeNet("1_1", CLASSES), 64),
    "shufflenetv2": (lambda: V.ShuffleNetV2([1, 2, 1], [8, 16, 24, 32, 48], num_classes=CLASSES), 32),
    "mobilenetv2": (lambda: V.MobileNetV2(CLASSES, width_mult=0.25), 32),
    "mobilenetv3_small": (lambda: V.mobilenet_v3_small(num_classes=CLASSES, width_mult=0.25), 32),
    "mobilenetv3_large": (lambda: V.mobilenet_v3_large(num_classes=CLASSES, width_mult=0.25), 32),
    "mnasnet": (lambda: V.MNASNet(0.25, CLASSES), 32),
    "efficientnet": (lambda: timm_model("test_efficientnet"), 32),
    "regnet_x": (lambda: V.regnet._regnet(V.regnet.BlockParams.from_init_params(
        depth=6, w_0=16, w_a=8.0, w_m=2.0, group_width=8), None, False, num_classes=CLASSES), 32),
    "regnet_y": (lambda: timm_model("test_byobnet"), 32),
    "convnext": (lambda: V.ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)], num_classes=CLASSES), 32),
    "vit": (lambda: V.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=CLASSES), 32),
    "swin": (lambda: V.SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=CLASSES), 32),
    "nfnet": (lambda: timm_model("test_nfnet"), 32),
    "repvgg": (lambda: T.ByobNet(T.ByoModelCfg(
        blocks=tuple(T.ByoBlockCfg(type="rep", d=1, c=c, s=2) for c in (16, 24)), stem_type="rep", stem_chs=16),
        num_classes=CLASSES), 32),
    "mlp_mixer": (lambda: T.MlpMixer(CLASSES, img_size=32, patch_size=8, num_blocks=2, embed_dim=24), 32),
    "convmixer": (lambda: T.ConvMixer(16, 2, kernel_size=5, patch_size=4, num_classes=CLASSES), 32),
    "poolformer": (lambda: T.MetaFormer(depths=(1, 1), dims=(16, 24), token_mixers=T.metaformer.Pooling,
                                        num_classes=CLASSES), 32),
    "res2net": (lambda: T.ResNet(T.res2net.Bottle2neck, [1, 1, 1, 1], num_classes=CLASSES, channels=(8, 8, 16, 24), base_width=14,
                                 block_args={"scale": 4}), 32),
    "darknet": (lambda: T.CspNet(T.cspnet.CspModelCfg(
        stem=T.cspnet.CspStemCfg(out_chs=8, kernel_size=3, stride=1, pool=""),
        stages=T.cspnet.CspStagesCfg(depth=(1, 1), out_chs=(16, 24), stride=(2, 2), stage_type="dark")),
        num_classes=CLASSES), 32),
    "dla": (lambda: T.DLA([1, 1, 1, 1, 1, 1], [8, 8, 8, 16, 16, 24], num_classes=CLASSES), 32),
}


def draw(model, seed):
    """Weights of the usual scale from a fixed seed, whatever the architecture's own initialisation."""
    drawn = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data = torch.rand(layer.weight.shape, generator=drawn) + 0.5
            layer.bias.data = torch.rand(layer.bias.shape, generator=drawn) - 0.5
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            fan = layer.weight[0].numel()
            layer.weight.data = torch.randn(layer.weight.shape, generator=drawn) * (2 / fan) ** 0.5
            if layer.bias is not None:
                layer.bias.data = torch.randn(layer.bias.shape, generator=drawn) * 0.1


def calibrate(model, side):
    """Statistics of one pass, then biases under which several classes occur."""
    noise = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(5))
    images = nn.functional.interpolate(noise, (side, side)) * torch.linspace(0.2, 1, 64).view(-1, 1, 1, 1)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
            layer.momentum = 1.0
    with torch.no_grad():
        model(images)
        model.eval()
        last = [layer for layer in model.modules()
                if isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.weight.shape[0] == CLASSES]
        if last and last[-1].bias is not None:
            last[-1].bias.data -= model(images).mean(0)


def export(model, side, path, dynamo):
    image = torch.rand(2, 3, side, side)
    names = {"input_names": ["image"], "output_names": ["scores"]}
    if dynamo:
        batch = torch.export.Dim("n", min=1, max=256)
        torch.onnx.export(model, (image,), path, dynamo=True, external_data=False, verbose=False,
                          dynamic_shapes=({0: batch},), **names)
        return
    torch.onnx.export(model, (image,), path, dynamo=False, opset_version=17,
                      dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}}, **names)


def main():
    folder, *only = sys.argv[1:]
    for number, (name, (build, side)) in enumerate(NETWORKS.items()):
        if only and name not in only:
            continue
        try:
            torch.manual_seed(number)
            model = build().eval()
            draw(model, number)
            calibrate(model, side)
        except Exception as error:
            print(f"{name}: not made: {str(error).splitlines()[0][:200]}", flush=True)
            continue
        for kind in ("torchscript", "dynamo"):
            try:
                export(model, side, f"{folder}/{name}_{kind}.onnx", kind == "dynamo")
                print(f"{name}: {kind}", flush=True)
            except Exception as error:
                print(f"{name}: {kind}: not exported: {str(error).splitlines()[0][:200]}", flush=True)


if __name__ == "__main__":
    main()
