"""Two processes under Lightning's DDP see, together, the samples that one process would see."""

import sys

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import TensorDataset

import augsynth as ag
from augsynth import transforms as T


class Watched(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model, self.sums = nn.Linear(48, 2), []

    def training_step(self, batch, batch_idx):
        images, labels = batch
        self.sums.append(images.long().sum((1, 2, 3)) * 1000 + images[:, 0, 0, 0])
        return nn.functional.cross_entropy(self.model(images.flatten(1) / 255), labels)

    def on_train_epoch_end(self):
        seen = self.all_gather(torch.cat(self.sums)).flatten().sort().values
        if self.trainer.is_global_zero:
            print("seen", seen.tolist(), flush=True)
        self.sums.clear()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


images = torch.randint(0, 256, (32, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
train_set = ag.wrap(TensorDataset(images, torch.arange(32) % 2), ag.Pipeline([T.ColorJitter(0.5), T.RandomCrop(4, 1)]))
loader = ag.loader(train_set, 8 // int(sys.argv[1]), shuffle=True, num_workers=1)
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
trainer = pl.Trainer(max_epochs=2, accelerator="cpu", devices=int(sys.argv[1]), strategy="ddp", **quiet)
trainer.fit(Watched(), loader)
