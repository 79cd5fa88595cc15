"""Lists for people who were not fitted: GANMF's closed form beside factors that were trained.

    python studies/new_users.py --data FOLDER [--dataset lastfm] [--rows GANMF-u,CFGAN-i]

FOLDER holds one folder of the five published splits for each data set. A fifth of the users, drawn
with seed 0, is left out of `train`; each row is fitted on the others with its published parameters.
Measured is MAP@5 on `test`: of the fitted users by their own factors, and by their profiles as if
they were new; of the others by their profiles; and of these by a model that was fitted with them.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments.variants import VARIANTS

ROWS = "GANMF-u,GANMF-i,BinGANMF-u,CFGAN-u,CFGAN-i,CAAE,UserKNN,ItemKNN-cosine,PureSVD,WRMF,EASE"
