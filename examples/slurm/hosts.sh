#!/bin/bash
# One network on all GPUs of several nodes, which see the project's folder; submit in it:
#   sbatch --nodes=2 --gpus-per-node=8 examples/slurm/hosts.sh
#
#SBATCH --job-name=phonemes
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --output=slurm-%j.log
set -euo pipefail

cd "$SLURM_SUBMIT_DIR"
PATH=$PWD/.venv/bin:$PATH  # where `make install` makes one

python -m dvc repro normalize context  # what train reads
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
srun python -m torch.distributed.run \
  --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "$SLURM_GPUS_ON_NODE" \
  --rdzv-backend c10d --rdzv-endpoint "${nodes%%$'\n'*}:${PORT:-29500}" --rdzv-id "$SLURM_JOB_ID" \
  -m stages.train
python -m dvc commit --force train  # DVC records what was trained
python -m dvc repro
