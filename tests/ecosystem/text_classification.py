"""Text classification: strings are edited before they become numbers; an epoch sees each text in another form."""

import torch
from torch import nn
from torch.utils.data import Dataset

import augsynth as ag
from augsynth import transforms as T

GOOD, BAD = ("a wonderful little film", "great fun, I would watch it again"), ("a dull mess", "awful and far too long")


class Reviews(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return {"text": (BAD, GOOD)[index % 2][index // 2 % 2] + f" ({index} minutes)", "label": index % 2}


def count_words(samples):  # hashed
    rows = torch.zeros(len(samples), 256)
    for row, sample in zip(rows, samples, strict=True):
        for word in sample["text"].lower().split():
            row[sum(map(ord, word)) % 256] += 1
    return rows, torch.tensor([sample["label"] for sample in samples])


pipeline = ag.Pipeline([T.SynonymReplacement(rate=0.2), T.RandomSwap(rate=0.1), T.KeyboardNoise(rate=0.02)], seed=1)
loader = ag.loader(ag.wrap(Reviews(), pipeline), 8, shuffle=True, collate_fn=count_words)
model = nn.Linear(256, 2)
optimizer = torch.optim.AdamW(model.parameters(), 0.05)
for _epoch in range(5):
    for words, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(words), labels).backward()
        optimizer.step()
words, labels = count_words([Reviews()[index] for index in range(40)])
print(f"accuracy {(model(words).argmax(1) == labels).float().mean():.3f}")
