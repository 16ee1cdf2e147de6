"""Segmentation: masks move with their images, by nearest neighbour; classes stay what they are."""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import augsynth as ag
from augsynth import transforms as T


class Squares(Dataset):  # of two kinds, brighter and darker
    def __len__(self):
        return 256

    def __getitem__(self, index):
        torch.manual_seed(index)
        image = torch.randint(0, 40, (3, 32, 32), dtype=torch.uint8)
        mask = torch.zeros(32, 32, dtype=torch.uint8)
        top, left = torch.randint(4, 18, (2,)).tolist()
        kind = 1 + index % 2
        mask[top : top + 10, left : left + 10] = kind
        image[:, mask > 0] = 110 * kind
        return {"image": image, "mask": mask}


pipeline = ag.Pipeline([T.RandomResizedCrop(32, (0.5, 1.0)), T.RandomHorizontalFlip(), T.RandomRotation(20)])
loader = DataLoader(ag.wrap(Squares(), pipeline), 32, shuffle=True, collate_fn=ag.collate)
model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1))
optimizer = torch.optim.AdamW(model.parameters(), 2e-2)
for _epoch in range(4):
    for batch in loader:
        loss = nn.functional.cross_entropy(model(batch["image"] / 255), batch["mask"].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
held_out = [Squares()[index] for index in range(256, 288)]
found = model(torch.stack([one["image"] for one in held_out]) / 255).argmax(1)
print(f"accuracy {(found == torch.stack([one['mask'] for one in held_out])).float().mean():.3f}")
