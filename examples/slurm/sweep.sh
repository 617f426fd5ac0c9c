#!/bin/bash
# Experiments as a job array: each task works in a clone of its own, on one shared cache.
#
# Commit, then submit in the project's folder, which all nodes see:
#   sbatch --array=1-3 examples/slurm/sweep.sh sweep.txt "$(git rev-parse HEAD)"
# A line of sweep.txt has a name and arguments of `dvc exp run`; task N runs line N:
#   seed-2 -S train.seed=2
# Finished experiments are in the project at once: phonemes compare, dvc exp show, dvc exp apply.
#
#SBATCH --job-name=phonemes
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=24G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail

list=${1:?which file has the experiments}
revision=${2:-HEAD}
project=$SLURM_SUBMIT_DIR
clone=${RUNS:-$project-runs}/${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

read -r name line <<< "$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$project/$list")"
: "${name:?$list has no line $SLURM_ARRAY_TASK_ID}"
read -ra arguments <<< "$line"

PATH=$project/.venv/bin:$PATH  # where `make install` makes one

if [ ! -d "$clone" ]; then
  rm -rf "$clone.new"
  git clone --quiet --no-checkout "$project" "$clone.new"
  git -C "$clone.new" checkout --quiet --detach "$(git -C "$project" rev-parse "$revision")"
  if [ -f "$project/.dvc/config.local" ]; then  # where the cache is, if not in the project
    cp "$project/.dvc/config.local" "$clone.new/.dvc/"
  else
    printf '[cache]\n    dir = %s/.dvc/cache\n' "$project" > "$clone.new/.dvc/config.local"
  fi
  mv "$clone.new" "$clone"
fi
cd "$clone"
# What a requeued job left: no process, and a checkpoint, from which the training goes on.
rm -f .git/index.lock .dvc/tmp/rwlock
python -m phonemes repair
git restore --staged --worktree .
python -m dvc checkout --quiet --force --allow-missing

if ! python -m dvc exp list --name-only | grep -Fx "$name" > /dev/null; then
  python -m dvc exp run --name "$name" "${arguments[@]}"
fi
python -m dvc exp push --force --no-cache origin "$name"
cd "$project"
rm -rf "$clone"
