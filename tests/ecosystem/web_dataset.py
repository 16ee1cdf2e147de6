"""WebDataset: shards of images are read, decoded, wrapped and batched, in workers that share the shards out."""

import numpy as np
import torch
import webdataset as wds
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

import augsynth as ag
from augsynth import transforms as T

images, labels = load_digits(return_X_y=True)
with wds.ShardWriter("digits-%02d.tar", maxcount=350, verbose=0) as shards:
    for number, (image, label) in enumerate(zip(images[:1400], labels, strict=False)):
        picture = Image.fromarray((image.reshape(8, 8) * 15.9).astype(np.uint8))
        shards.write({"__key__": f"{number:05d}", "png": picture, "cls": int(label)})

stream = wds.WebDataset("digits-{00..03}.tar", shardshuffle=False).shuffle(400, seed=0).decode("pill")
pipeline = ag.Pipeline([T.RandomAffine(10, translate=(0.1, 0.1)), T.Normalize((0.5,), (0.5,))])
train_set = ag.wrap(stream.to_tuple("png", "cls"), pipeline)
loader = torch.utils.data.DataLoader(train_set, 64, num_workers=2)

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))
optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
for _epoch in range(5):
    for batch, targets in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), targets).backward()
        optimizer.step()

test = torch.from_numpy(images[1400:].reshape(-1, 1, 8, 8) * 15.9).floor() / 127.5 - 1
found = model(test.float()).argmax(1)
print(f"accuracy {(found == torch.from_numpy(labels[1400:])).float().mean():.3f}")
