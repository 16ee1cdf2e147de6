"""Two processes share the synthetic samples of an epoch as they share the real ones: different ones, at one ratio."""

import sys

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

import augsynth as ag


class Watched(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model, self.seen = nn.Linear(64, 10), []

    def training_step(self, batch, batch_idx):
        images, labels = batch
        self.seen.append((images.flatten(1) * torch.arange(1.0, 65)).sum(1).mul(100).round().long())
        return nn.functional.cross_entropy(self.model(images.flatten(1)), labels)

    def on_train_epoch_end(self):
        seen = self.all_gather(torch.cat(self.seen)).flatten().sort().values
        if self.trainer.is_global_zero:
            print("seen so far", len(seen), seen.unique().tolist(), flush=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


digits = load_digits()
real = TensorDataset(torch.from_numpy(digits.images[:96] / 16).float()[:, None], torch.from_numpy(digits.target[:96]))
generator = ag.generators.LatentSMOTE((1, 8, 8), 10, seed=0)
ag.generators.fit(generator, real, max_images=96)
loader = ag.loader(ag.wrap(ag.blend(real, generator, 0.25, gate=None), ag.Pipeline([])), 8, shuffle=True, num_workers=1)
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
pl.Trainer(max_epochs=2, accelerator="cpu", devices=int(sys.argv[1]), strategy="ddp", **quiet).fit(Watched(), loader)
