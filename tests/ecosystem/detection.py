"""Detection: lists of images and targets for torchvision's Faster R-CNN; boxes and labels move with the pixels."""

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.tv_tensors import BoundingBoxes

import augsynth as ag
from augsynth import transforms as T


class Blocks(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        torch.manual_seed(index)
        image = torch.zeros(3, 96, 128 - 16 * index, dtype=torch.uint8)  # sizes differ
        corners = torch.randint(8, 40, (index, 2))  # and the number of objects, from none on
        boxes = torch.cat([corners, corners + 24], 1).float()
        for left, top, right, bottom in boxes.int().tolist():
            image[:, top:bottom, left:right] = 255
        boxes = BoundingBoxes(boxes, format="XYXY", canvas_size=image.shape[1:])
        return image, {"boxes": boxes, "labels": torch.ones(index, dtype=torch.int64)}


def apart(samples):
    return tuple(zip(*samples, strict=True))


pipeline = ag.Pipeline([T.RandomHorizontalFlip(), T.RandomZoomOut(p=1.0), T.RandomRotation(5)], dtype=torch.float32)
loader = DataLoader(ag.wrap(Blocks(), pipeline), 4, collate_fn=apart)
images, targets = next(iter(loader))
model = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=2)
losses = model(list(images), list(targets))
sum(losses.values()).backward()
print("boxes", [len(target["boxes"]) for target in targets], "loss finite", bool(torch.isfinite(sum(losses.values()))))
