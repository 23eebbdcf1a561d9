"""Makes a peer's model of random weights, ready for its calculator. Run by benchmarks/peers.py in the environment of that peer.

    python peers_models.py nequip FRAME.xyz CUTOFF FOLDER        FOLDER/model.nequip.pt2
    python peers_models.py symmetrix FRAME.xyz CUTOFF FOLDER     FOLDER/model.json

FRAME.xyz is a periodic structure to make them with; the models know the elements of all the systems. Both ways are those of the packages'
own manuals.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.neighborlist import neighbor_list

ELEMENTS = (1, 6, 8, 29)


def nequip(frame: Path, cutoff: float, folder: Path) -> None:
    """Three layers, l up to 1, 32 channels; one step of training writes the checkpoint that nequip-compile reads."""
    atoms = ase.io.read(frame)
    forces = np.random.default_rng(0).normal(size=(len(atoms), 3))
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=forces)
    ase.io.write(folder / "train.xyz", atoms, format="extxyz")
    (folder / "config.yaml").write_text(json.dumps(nequip_config(atoms, cutoff, folder), indent=2))
    programs = Path(sys.executable).parent
    subprocess.run([programs / "nequip-train", "-cp", folder, "-cn", "config", f"hydra.run.dir={folder / 'run'}"], check=True)
    target = ("--mode", "aotinductor", "--device", "cpu", "--target", "ase")
    subprocess.run([programs / "nequip-compile", folder / "last.ckpt", folder / "model.nequip.pt2", *target], check=True)


def nequip_config(atoms: ase.Atoms, cutoff: float, folder: Path) -> dict[str, object]:
    """What nequip-train reads: `parity: false` and the radial network are those of the presets of nequip, S to XL."""
    symbols = [chemical_symbols[z] for z in ELEMENTS]
    metrics = {"_target_": "nequip.train.EnergyForceLoss", "per_atom_energy": True, "coeffs": {"total_energy": 1.0, "forces": 1.0}}
    return {
        "run": ["train"],
        "data": {
            "_target_": "nequip.data.datamodule.ASEDataModule",
            "seed": 0,
            "train_file_path": str(folder / "train.xyz"),
            "val_file_path": str(folder / "train.xyz"),
            "transforms": [
                {"_target_": "nequip.data.transforms.ChemicalSpeciesToAtomTypeMapper", "model_type_names": symbols},
                {"_target_": "nequip.data.transforms.NeighborListTransform", "r_max": cutoff},
            ],
            "train_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 1},
            "val_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 1},
        },
        "trainer": {
            "_target_": "lightning.Trainer",
            "max_epochs": 1,
            "accelerator": "cpu",
            "logger": False,
            "callbacks": [{"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "dirpath": str(folder), "filename": "last"}],
        },
        "training_module": {
            "_target_": "nequip.train.NequIPLightningModule",
            "loss": metrics,
            "val_metrics": metrics,
            "optimizer": {"_target_": "torch.optim.Adam", "lr": 1e-3},
            "model": {
                "_target_": "nequip.model.NequIPGNNModel",
                "seed": 0,
                "model_dtype": "float32",
                "type_names": symbols,
                "r_max": cutoff,
                "num_layers": 3,
                "l_max": 1,
                "parity": False,
                "num_features": 32,
                "radial_mlp_depth": 1,
                "radial_mlp_width": 128,
                "avg_num_neighbors": neighbors_of(atoms, cutoff),
                "per_type_energy_shifts": 0.0,
                "per_type_energy_scales": 1.0,
            },
        },
    }


def symmetrix(frame: Path, cutoff: float, folder: Path) -> None:
    """A MACE of 64x0e + 64x1o, l up to 3, correlation 3, two layers, as symmetrix_extract_mace writes it."""
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4, which mace-torch asks for, reads a table that newer torch refuses
    import torch
    from e3nn.o3 import Irreps
    from mace import modules

    atoms = ase.io.read(frame)
    torch.manual_seed(0)
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = modules.ScaleShiftMACE(
        r_max=cutoff,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=len(ELEMENTS),
        hidden_irreps=Irreps("64x0e + 64x1o"),
        MLP_irreps=Irreps("16x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.zeros(len(ELEMENTS)),
        avg_num_neighbors=neighbors_of(atoms, cutoff),
        atomic_numbers=list(ELEMENTS),
        correlation=3,
        radial_MLP=[64, 64, 64],
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    torch.save(model, folder / "mace.model")
    program = Path(sys.executable).parent / "symmetrix_extract_mace"
    subprocess.run([program, "--model", folder / "mace.model", "--output", folder / "model.json"], check=True)


def neighbors_of(atoms: ase.Atoms, cutoff: float) -> float:
    """The mean over atoms."""
    return len(neighbor_list("i", atoms, cutoff)) / len(atoms)


if __name__ == "__main__":
    make, frame, cutoff, folder = sys.argv[1:]
    {"nequip": nequip, "symmetrix": symmetrix}[make](Path(frame), float(cutoff), Path(folder).resolve())
