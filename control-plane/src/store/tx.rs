//! One transaction with a label: begin, run, commit, and run again when it lost against another one.

use std::time::Duration;

use service_kit::failpoint::pass_in;
use sqlx::{Postgres, Transaction};
use tokio::time::Instant;

use super::{Store, StoreError};

/// An open transaction; dropping it rolls back.
pub type Tx = Transaction<'static, Postgres>;

/// An error that may carry a [`StoreError`].
pub trait AsStoreError: From<StoreError> {
    fn as_store_error(&self) -> Option<&StoreError>;
}

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

// === impl Store ===

impl Store {
    /// Runs `work` in a transaction and commits what it gives back. An error rolls back; a lost race (serialisation
    /// failure, deadlock) runs `work` again, a bounded number of times, so it keeps nothing between attempts. When the
    /// database goes away it ends at once; if that was during the commit, nobody knows whether it was carried out.
    ///
    /// # Errors
    /// What `work` answers, or the [`StoreError`] of begin and commit.
    pub(crate) async fn in_tx<T, E, F>(
        &self,
        label: &'static str,
        mut work: impl FnMut(Tx) -> F,
    ) -> Result<T, E>
    where
        E: AsStoreError,
        F: Future<Output = Result<(Tx, T), E>>,
    {
        let began = Instant::now();
        let mut attempt = 1;
        let result = loop {
            let result = tokio::select! {
                biased;
                result = self.attempt(label, &mut work) => result,
                _ = self.until_away() => Err(StoreError::away().into()),
            };
            let lost = result.as_ref().err().and_then(E::as_store_error).is_some_and(StoreError::lost_a_race);
            if !lost || attempt == ATTEMPTS {
                break result;
            }
            tracing::debug!(label, attempt, "the transaction lost a race and runs again");
            tokio::time::sleep(PAUSE * attempt * (1 + fastrand::u32(0..4))).await;
            attempt += 1;
        };
        metrics::histogram!("kt_store_transaction_seconds", "label" => label)
            .record(began.elapsed().as_secs_f64());
        result
    }

    async fn attempt<T, E, F>(&self, label: &str, work: &mut impl FnMut(Tx) -> F) -> Result<T, E>
    where
        E: AsStoreError,
        F: Future<Output = Result<(Tx, T), E>>,
    {
        pass_in(label, "before_begin").await.map_err(StoreError::from)?;
        let transaction = self.pool().begin().await.map_err(StoreError::from)?;
        let (transaction, value) = work(transaction).await?;
        pass_in(label, "before_commit").await.map_err(StoreError::from)?;
        transaction.commit().await.map_err(StoreError::from)?;
        pass_in(label, "after_commit").await.map_err(StoreError::from)?;
        Ok(value)
    }
}

impl AsStoreError for StoreError {
    fn as_store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}
