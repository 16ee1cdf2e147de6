"""Somebody's Hydra application: its own network and optimizer, augmented as `augment=` says."""

import hydra
import torch
from omegaconf import DictConfig
from torch import nn

# Hydra 1.4 wants to hear from the application what a configuration may instantiate; 1.3 wants a version_base.
TRUST, BASE = {}, {"version_base": "1.3"}
if hasattr(hydra.utils, "execution_whitelist"):
    TRUST, BASE = {"_execution_whitelist_": hydra.utils.execution_whitelist(["augsynth.*", "torch.optim.*"])}, {}


@hydra.main(config_path="conf", config_name="config", **BASE)
def main(config: DictConfig) -> float:
    pipeline = hydra.utils.instantiate(config.augment if "augment" in config else config.train.augment, **TRUST)
    print(*(f"{name}: {transform}" for name, transform in pipeline.transforms.items()), sep="\n")

    torch.manual_seed(config.seed)
    images = torch.randint(0, 256, (config.samples, 3, *[config.data.image_size] * 2), dtype=torch.uint8)
    labels = torch.arange(config.samples) % 2
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    network(images.float())
    optimizer = hydra.utils.instantiate(config.optimizer, network.parameters(), **TRUST)
    for epoch in range(config.epochs):
        batch = pipeline(images, index=range(config.samples), epoch=epoch)
        loss = nn.functional.cross_entropy(network(batch.float() / 255), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{pipeline.explain().splitlines()[0]}; loss {loss.item():.3f}")
    return loss.item()


if __name__ == "__main__":
    main()
