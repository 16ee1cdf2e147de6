"""A LightningModule and its DataLoader: one callback is added to the Trainer."""

import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import augsynth as ag
from augsynth import transforms as T


class Classifier(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))

    def training_step(self, batch, batch_idx):
        images, labels = batch
        return nn.functional.cross_entropy(self.model(images), labels)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), 5e-3)


pl.seed_everything(0)
digits = load_digits()
images = torch.from_numpy(digits.images * 15.9).to(torch.uint8)[:, None]
labels = torch.from_numpy(digits.target)
loader = DataLoader(TensorDataset(images[:1400], labels[:1400]), 64, shuffle=True)

pipeline = ag.Pipeline([T.RandomAffine(10, translate=(0.1, 0.1)), T.Normalize((0.5,), (0.5,))])
callbacks = [ag.callbacks.AugmentOnDevice(pipeline)]
model = Classifier()
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
pl.Trainer(max_epochs=5, accelerator="cpu", callbacks=callbacks, **quiet).fit(model, loader)

found = model.model(images[1400:] / 255 * 2 - 1).argmax(1)
print(f"accuracy {(found == labels[1400:]).float().mean():.3f}")
