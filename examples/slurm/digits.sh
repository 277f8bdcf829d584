#!/bin/bash
#SBATCH --job-name=digits --requeue --open-mode=append --signal=B:USR1@120
#
#   cd examples/digits && sbatch ../slurm/digits.sh
#
# On a node's own Python, which has numpy and safetensors; OUT is on a file system that all nodes share.
OUT=${OUT:-$PWD/out}
mkdir -p "$OUT"
export TRAINIT_CODE_PATH=$PWD/code
export TRAINIT_DATA=$PWD/data:mounted=no TRAINIT_OUTPUT=$OUT:mounted=no
export TRAINIT_CHECKPOINT_DIR=$OUT TRAINIT_STOP_DONE_FILE=$OUT/DONE
export TRAINIT_DEPS_REQUIREMENTS=off
# Slurm tells of a preemption and of the time limit by USR1; after the stop trainit has the job started again.
export TRAINIT_STOP_ON=USR1=stop TRAINIT_REQUEUE=scontrol
exec trainit run --mode train -- python "$PWD/code/train.py" --data "$PWD/data" --checkpoints "$OUT" --pace "${PACE:-0}"

# In a container there is no scontrol, so the batch script goes on after it. Not run here: enroot with pyxis, and Apptainer.
#
#   told=; trap 'told=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1
#   srun --container-image=my-image:1 --container-mounts="$PWD/code:/code,$PWD/data:/data:ro,$OUT:/checkpoints" \
#       trainit python /code/train.py &                                                          # enroot
#   srun apptainer exec --bind "$PWD/code:/code,$PWD/data:/data:ro,$OUT:/checkpoints" my-image.sif \
#       trainit python /code/train.py &                                                          # Apptainer
#   until wait "$!"; code=$?; ! kill -0 "$!" 2>/dev/null; do :; done
#   [ "$code" -ne 143 ] || [ -z "$told" ] || scontrol requeue "$SLURM_JOB_ID"
