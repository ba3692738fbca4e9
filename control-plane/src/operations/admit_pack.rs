//! Admission away from the threads that serve streams: a hostile pack costs CPU for a moment, and nobody else waits.

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::OperationError;
use crate::admission::{AdmittedConfig, admit};

/// Packs that are looked at at the same time; the others wait.
const AT_ONCE: usize = 2;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// As [`admit`].
///
/// # Errors
/// [`OperationError::Lint`] with every finding; [`OperationError::Defect`] when admission itself broke down.
pub(super) async fn admit_pack(source: Bytes) -> Result<AdmittedConfig, OperationError> {
    let _place = PLACES.acquire().await.map_err(|_| OperationError::Defect)?;
    let admitted = tokio::task::spawn_blocking(move || admit(&source)).await;
    admitted.map_err(|_| OperationError::Defect)?.map_err(OperationError::Lint)
}
