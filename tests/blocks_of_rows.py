"""Rows that are asked block by block, as those of files are."""

import numpy as np

from softmaxlib._all_rows import Merged, RowBlock


class BlocksOfRows:
    """In memory, but only ever asked for sums over blocks, and for each so many-th row."""

    def __init__(self, values, labels, weights=None, groups=None, size=311):
        self.columns = (values, labels, weights, groups)
        self.classes, self.size, self.passes = values.shape[1], size, 0
        self.is_weighted = weights is not None
        self.group_names = () if groups is None else tuple(sorted(set(groups.tolist())))

    def some(self, rows):
        return RowBlock(*(None if column is None else column[rows] for column in self.columns))

    def merged(self, of_block, *arguments):
        self.passes += 1
        starts = range(0, len(self.columns[1]), self.size)
        found = [of_block(self.some(slice(start, start + self.size)), *arguments) for start in starts]
        assert all(isinstance(one, Merged) for one in found)
        added = np.sum([one.added for one in found], axis=0)
        return Merged(added, np.max([one.largest for one in found], axis=0))

    def every(self, step):
        self.passes += 1
        return self.some(slice(None, None, step))
