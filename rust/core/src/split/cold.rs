//! Users held out whole, as if they came after the model was made.

use super::labels::{Size, choose, label_rows};
use crate::base::memory::{reserve, with_room, zeros};
use crate::base::rng::Rng;
use crate::base::{CsrView, Error, Progress, Result};

/// Keep the draws of this rule apart from those of others under the same seed.
const WHO: u64 = 0x636f_6c64;
const WHAT: u64 = 0x636f_6c65;

const USERS: &str = "users that can be held out";

/// Labels 0 for training users, 1 for the profile and 2 for the target of those held out, and the
/// rows held out, ascending.
///
/// Users are drawn among those with two interactions or more, so that each has a profile and a
/// target; `users` counts or is a fraction of these.
///
/// # Errors
/// [`Error::InvalidArgument`] if a size is out of range, or there are not enough such users;
/// [`Error::Cancelled`].
pub fn cold_users(
    urm: CsrView<'_>,
    users: Size,
    target: Size,
    seed: u64,
    progress: &Progress,
) -> Result<(Vec<u8>, Vec<i64>)> {
    users.check("n_users")?;
    target.check("target_size")?;
    let mut able = Vec::new();
    for user in (0..urm.n_rows()).filter(|&u| urm.row_len(u) >= 2) {
        progress.check()?;
        reserve(&mut able, 1, USERS)?;
        able.push(user);
    }
    let wanted = match users {
        Size::Count(count) => count,
        Size::Fraction(_) => users.out_of(able.len()),
    };
    if wanted == 0 || wanted >= able.len() {
        return Err(Error::invalid(format!(
            "n_users asks for {wanted} of the {} users with 2 interactions or more, and one must \
             remain",
            able.len()
        )));
    }
    let mut drawn = zeros(able.len(), USERS)?;
    choose(&mut Rng::at(seed, WHO, 0), wanted, 1, &mut drawn);
    let mut cold = zeros(urm.n_rows(), USERS)?;
    for (&user, &is_cold) in able.iter().zip(&drawn) {
        cold[user] = is_cold == 1;
    }
    let labels = label_rows(urm, progress, |row, labels| {
        if cold[row] {
            labels.fill(1);
            let mut rng = Rng::at(seed, WHAT, row as u64);
            choose(&mut rng, target.out_of(labels.len()), 2, labels);
        }
        Ok(())
    })?;
    let mut rows = with_room(wanted, USERS)?;
    rows.extend((0..urm.n_rows()).filter(|&u| cold[u]).map(|u| u as i64));
    Ok((labels, rows))
}

#[cfg(test)]
mod tests {
    use super::super::labels::testing::{per_row, stairs};
    use super::*;
    use crate::base::testing::on_threads;

    #[test]
    fn a_cold_user_has_profile_and_target_and_nothing_else() {
        let urm = stairs(80);
        let (labels, rows) = cold_users(
            urm.view(),
            Size::Fraction(0.25),
            Size::Fraction(0.2),
            4,
            &Progress::new(),
        )
        .expect("valid");
        assert_eq!(rows.len(), 20, "a quarter of the 78 who can, rounded");
        let parts: Vec<Vec<usize>> = (0..3).map(|l| per_row(&urm, &labels, l)).collect();
        for user in 0..80 {
            if rows.contains(&(user as i64)) {
                let target = ((user as f64 * 0.2).round() as usize).clamp(1, user - 1);
                assert_eq!(parts[0][user], 0);
                assert_eq!((parts[1][user], parts[2][user]), (user - target, target));
            } else {
                assert_eq!(parts[0][user], user);
            }
        }
    }

    #[test]
    fn thread_count_does_not_change_who_is_cold() {
        let urm = stairs(2100);
        let cold = |threads| {
            on_threads(threads, || {
                let (users, target) = (Size::Count(300), Size::Count(1));
                cold_users(urm.view(), users, target, 1, &Progress::new()).expect("valid")
            })
        };
        assert_eq!(cold(1), cold(4));
    }

    #[test]
    fn more_users_than_there_are_is_refused() {
        let urm = stairs(5);
        let with = |users| {
            cold_users(urm.view(), users, Size::Count(1), 0, &Progress::new())
                .expect_err("refused")
                .to_string()
        };
        assert!(with(Size::Count(3)).contains("asks for 3 of the 3 users with 2 interactions"));
        assert!(with(Size::Count(0)).contains("n_users must be at least 1"));
    }
}
