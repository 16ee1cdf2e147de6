"""Hugging Face: a dataset with images, wrapped, and the Trainer of transformers; nothing else changes."""

import datasets
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from transformers import Trainer, TrainingArguments

import augsynth as ag
from augsynth import transforms as T


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))

    def forward(self, image, labels):
        logits = self.layers(image)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


images, labels = load_digits(return_X_y=True)
pictures = [Image.fromarray((image.reshape(8, 8) * 15.9).astype(np.uint8)) for image in images]
data = datasets.Dataset.from_dict({"image": pictures, "label": labels.tolist()})
data = data.cast_column("image", datasets.Image(mode="L")).train_test_split(397, seed=0)

pipeline = ag.Pipeline([T.RandomAffine(10, translate=(0.1, 0.1)), T.Normalize((0.5,), (0.5,))])
train_set = ag.wrap(data["train"], pipeline)
test_set = ag.wrap(data["test"], ag.Pipeline([T.Normalize((0.5,), (0.5,))]))
options = {"report_to": "none", "use_cpu": True, "remove_unused_columns": False, "label_names": ["labels"]}
options |= {"num_train_epochs": 5, "per_device_train_batch_size": 64, "learning_rate": 5e-3, "disable_tqdm": True}
torch.manual_seed(0)
trainer = Trainer(Classifier(), TrainingArguments("out", **options), train_dataset=train_set, eval_dataset=test_set)
trainer.train()
found = trainer.predict(test_set)
print(f"accuracy {(found.predictions.argmax(1) == found.label_ids).mean():.3f}")
