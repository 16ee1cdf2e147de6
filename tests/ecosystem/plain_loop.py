"""A training loop of one's own: the dataset is wrapped, the rest stays."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

import augsynth as ag
from augsynth import transforms as T

torch.manual_seed(0)
digits = load_digits()
images = torch.from_numpy(digits.images * 15.9).to(torch.uint8)[:, None]
labels = torch.from_numpy(digits.target)
train_set = TensorDataset(images[:1400], labels[:1400])

pipeline = ag.Pipeline([T.RandomAffine(10, translate=(0.1, 0.1)), T.Normalize((0.5,), (0.5,))])
loader = ag.loader(ag.wrap(train_set, pipeline), 64, shuffle=True, num_workers=2)

model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))
optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
for _epoch in range(5):
    for batch, targets in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), targets).backward()
        optimizer.step()

test = images[1400:] / 255 * 2 - 1
print(f"accuracy {(model(test).argmax(1) == labels[1400:]).float().mean():.3f}")
