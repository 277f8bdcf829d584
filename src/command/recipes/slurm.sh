#!/bin/bash
#SBATCH --requeue --open-mode=append --signal=B:USR1@120
# A node that was only stopped counts as 0: then the highest code of the step is the one that says why.
export TRAINIT_EXIT_MAP=143=0

told=
trap 'told=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1
srun --kill-on-bad-exit=1 trainit python train.py &
until wait "$!"; code=$?; ! kill -0 "$!" 2>/dev/null; do :; done

case $code in
    0) [ -z "$told" ] || scontrol requeue "$SLURM_JOB_ID" ;;
    21[0-9]) [ "${SLURM_RESTART_COUNT:-0}" -ge 3 ] || scontrol requeue "$SLURM_JOB_ID" ;;
esac
exit "$code"
