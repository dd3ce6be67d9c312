//! A page of PostgreSQL's files, as far as it is written here: its header and its checksum. Pure.

/// Bytes of a page.
pub const BYTES: usize = 8_192;
/// Bytes of `PageHeaderData` (bufpage.h).
pub const HEADER: usize = 24;
/// Where `pd_checksum` is: behind `pd_lsn`.
const CHECKSUM: usize = 8;

/// An empty page with as many bytes for the access method at its end.
pub fn empty(special: usize) -> Vec<u8> {
    let mut page = vec![0_u8; BYTES];
    set_bounds(&mut page, HEADER, BYTES - special);
    // pd_special, and pd_pagesize_version: the layout's version is 4.
    put(&mut page, 16, (BYTES - special) as u16);
    put(&mut page, 18, BYTES as u16 | 4);
    page
}

/// Where the free room of a page begins and ends: `pd_lower` and `pd_upper`.
pub fn set_bounds(page: &mut [u8], lower: usize, upper: usize) {
    put(page, 12, lower as u16);
    put(page, 14, upper as u16);
}

fn put(page: &mut [u8], at: usize, number: u16) {
    page[at..at + 2].copy_from_slice(&number.to_le_bytes());
}

/// Gives a page its checksum, which depends on the block that it shall be. A server without
/// checksums does not look at it.
pub fn seal(page: &mut [u8], block: u32) {
    let sum = checksum(page, block);
    put(page, CHECKSUM, sum);
}

/// Sums that are taken side by side, and what they begin with (`checksumBaseOffsets`).
const BASES: [u32; 32] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

/// `pg_checksum_page` (checksum_impl.h): FNV-1a over words of four bytes in 32 columns, with more
/// shifted in, at last two rounds of zeros; never 0.
fn checksum(page: &[u8], block: u32) -> u16 {
    const FNV_PRIME: u32 = 16_777_619;
    let mix = |sum: &mut u32, value: u32| {
        let mixed = *sum ^ value;
        *sum = mixed.wrapping_mul(FNV_PRIME) ^ (mixed >> 17);
    };
    let mut sums = BASES;
    for (at, bytes) in page.chunks_exact(4).enumerate() {
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        // pd_checksum itself counts as zero; pd_flags, which share its word, do not.
        let word = if at == CHECKSUM / 4 { word & 0xFFFF_0000 } else { word };
        mix(&mut sums[at % BASES.len()], word);
    }
    for _ in 0..2 {
        sums.iter_mut().for_each(|sum| mix(sum, 0));
    }
    let sum = sums.iter().fold(0, |all, sum| all ^ sum) ^ block;
    (sum % 65_535) as u16 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_depends_on_all_bytes_but_its_own_and_on_the_block() {
        let mut page = empty(16);
        seal(&mut page, 1);
        let first = checksum(&page, 1);
        assert_eq!(page[CHECKSUM..CHECKSUM + 2], first.to_le_bytes());
        assert_ne!(checksum(&page, 2), first);
        for at in [0, 10, HEADER, BYTES - 1] {
            page[at] ^= 1;
            assert_ne!(checksum(&page, 1), first, "byte {at}");
            page[at] ^= 1;
        }
        assert_eq!(checksum(&page, 1), first);
    }
}
