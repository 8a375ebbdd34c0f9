//! The heights of many rows: where each begins, and which one is at a given offset.
//!
//! A Fenwick tree over `f64`: setting a height, appending a row and both lookups take logarithmic time.

/// Heights in points, and their sums.
#[derive(Debug, Clone, Default)]
pub(super) struct Heights {
    heights: Vec<f64>,
    /// `sums[i]` covers the rows `i + 1 - lowest_bit(i + 1) .. i + 1`.
    sums: Vec<f64>,
}

impl Heights {
    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.heights.len()
    }

    /// The height of one row; 0 beyond the end.
    pub(super) fn get(&self, row: usize) -> f64 {
        self.heights.get(row).copied().unwrap_or_default()
    }

    /// The height of all rows.
    pub(super) fn total(&self) -> f64 {
        self.offset_of(self.len())
    }

    /// Keeps the first `len` rows.
    pub(super) fn truncate(&mut self, len: usize) {
        self.heights.truncate(len);
        self.sums.truncate(len);
    }

    /// Appends a row.
    pub(super) fn push(&mut self, height: f64) {
        let place = self.len() + 1;
        let covered_from = place - lowest_bit(place);
        let sum = height + self.offset_of(place - 1) - self.offset_of(covered_from);
        self.heights.push(height);
        self.sums.push(sum);
    }

    /// Changes the height of a row.
    pub(super) fn set(&mut self, row: usize, height: f64) {
        let Some(old) = self.heights.get_mut(row) else { return };
        let change = height - *old;
        if change == 0.0 {
            return;
        }
        *old = height;
        let mut place = row + 1;
        while let Some(sum) = self.sums.get_mut(place - 1) {
            *sum += change;
            place += lowest_bit(place);
        }
    }

    /// Where a row begins: the sum of all heights before it.
    pub(super) fn offset_of(&self, row: usize) -> f64 {
        let mut place = row.min(self.len());
        let mut sum = 0.0;
        while place > 0 {
            sum += self.sums.get(place - 1).copied().unwrap_or_default();
            place -= lowest_bit(place);
        }
        sum
    }

    /// The row at this place, and how far into it. Beyond the end: the last row.
    pub(super) fn at(&self, offset: f64) -> (usize, f64) {
        let mut place = 0;
        let mut left = offset.max(0.0);
        let mut step = self.len().checked_ilog2().map_or(0, |bits| 1 << bits);
        while step > 0 {
            if let Some(sum) = self.sums.get(place + step - 1)
                && *sum <= left
            {
                place += step;
                left -= sum;
            }
            step /= 2;
        }
        if place >= self.len() {
            let last = self.len().saturating_sub(1);
            return (last, self.get(last));
        }
        (place, left)
    }
}

fn lowest_bit(place: usize) -> usize {
    place & place.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(count: u32) -> (Heights, Vec<f64>) {
        let plain: Vec<f64> = (0..count).map(|n| f64::from(n * 7 % 13 + 1)).collect();
        let mut heights = Heights::default();
        for height in &plain {
            heights.push(*height);
        }
        (heights, plain)
    }

    #[test]
    fn sums_and_search_agree_with_a_plain_list() {
        for count in [0, 1, 2, 3, 7, 8, 9, 100] {
            let (mut heights, mut plain) = heights(count);
            if count > 4 {
                heights.set(3, 50.0);
                plain[3] = 50.0;
                heights.truncate(plain.len() - 2);
                plain.truncate(plain.len() - 2);
                heights.push(5.0);
                plain.push(5.0);
            }
            let mut offset = 0.0;
            for (row, height) in plain.iter().enumerate() {
                assert_eq!(heights.offset_of(row), offset);
                assert_eq!(heights.at(offset), (row, 0.0), "count {count}");
                assert_eq!(heights.at(offset + height - 0.5), (row, height - 0.5));
                offset += height;
            }
            assert_eq!(heights.total(), offset);
        }
    }

    #[test]
    fn beyond_the_end_is_the_last_row() {
        let (heights, plain) = heights(10);
        assert_eq!(heights.at(1e9), (9, plain[9]));
        assert_eq!(Heights::default().at(5.0), (0, 0.0));
    }
}
