"""A LightningDataModule of one's own: wrapped, its training batches are augmented, the others are not."""

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import augsynth as ag
from augsynth import transforms as T


class Digits(pl.LightningDataModule):
    def setup(self, stage):
        images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
        self.train, self.val = random_split(TensorDataset(images.view(-1, 1, 8, 8).float() / 16, labels), [1400, 397])

    def train_dataloader(self):
        return DataLoader(self.train, 64, shuffle=True, num_workers=2)

    def val_dataloader(self):
        return DataLoader(self.val, 397)


class Classifier(pl.LightningModule):
    model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.print(f"accuracy {(self.model(batch[0]).argmax(1) == batch[1]).float().mean():.3f}")

    def configure_optimizers(self):
        return torch.optim.AdamW(self.model.parameters(), 5e-3)


data = ag.wrap(Digits(), ag.Pipeline([T.RandomAffine(10, translate=(0.1, 0.1))]))
pl.Trainer(max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False).fit(Classifier(), data)
