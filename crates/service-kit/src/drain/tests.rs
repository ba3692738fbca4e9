//! The promises of a drain, in paused time.

use super::*;
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn with_nothing_held_a_drain_ends_at_once() {
    let (trigger, watcher) = channel();
    assert!(!watcher.is_draining());
    trigger.start();
    trigger.start();
    assert!(watcher.is_draining());
    watcher.signaled().await;
    assert_eq!(trigger.drained(Duration::ZERO).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_held_piece_of_work_delays_the_end_until_it_is_dropped() {
    let (trigger, watcher) = channel();
    let (finish, finished) = oneshot::channel::<()>();
    let hold = watcher.hold("request");
    watcher.spawn("holder", async move {
        finished.await.unwrap();
        drop(hold);
    });
    trigger.start();
    assert!(trigger.drained(LONG).await.is_err());
    finish.send(()).unwrap();
    assert_eq!(trigger.drained(LONG).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_names_what_is_still_held_and_how_often() {
    let (trigger, watcher) = channel();
    let _first = watcher.hold("request");
    let _second = watcher.hold("request");
    let _other = watcher.hold("delivery session");
    trigger.start();
    let began = tokio::time::Instant::now();
    let busy = trigger.drained(LONG).await.unwrap_err();
    assert_eq!(began.elapsed(), LONG);
    assert_eq!(busy.held, [("delivery session", 1), ("request", 2)]);
    assert_eq!(busy.to_string(), "still busy at the deadline: delivery session ×1, request ×2");
}

#[tokio::test(start_paused = true)]
async fn a_spawned_task_is_counted_before_it_first_runs_and_until_it_ends() {
    let (trigger, watcher) = channel();
    let own = watcher.clone();
    let task = watcher.spawn("server", async move {
        own.signaled().await;
        7
    });
    assert_eq!(trigger.drained(LONG).await.unwrap_err().held, [("server", 1)]);
    trigger.start();
    assert_eq!(trigger.drained(LONG).await, Ok(()));
    assert_eq!(task.await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn aborted_and_panicked_tasks_are_no_longer_counted() {
    let (trigger, watcher) = channel();
    let aborted = watcher.spawn("aborted", std::future::pending::<()>());
    let panicked = watcher.spawn("panicked", async { panic!("on purpose") });
    aborted.abort();
    assert!(panicked.await.unwrap_err().is_panic());
    trigger.start();
    assert_eq!(trigger.drained(LONG).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_trigger_starts_no_drain() {
    let (trigger, watcher) = channel();
    drop(trigger);
    assert!(tokio::time::timeout(LONG, watcher.signaled()).await.is_err());
    assert!(!watcher.is_draining());
}

#[tokio::test]
async fn a_thread_and_what_it_hands_on_are_counted_to_their_end() {
    let (trigger, watcher) = channel();
    let (handed, taken) = std::sync::mpsc::channel::<(DrainHold, oneshot::Receiver<()>)>();
    let thread = watcher.spawn_thread("worker", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            while let Ok((hold, finished)) = taken.recv() {
                let _ = hold.spawn(finished).await;
            }
        });
    });
    let (finish, finished) = oneshot::channel();
    handed.send((watcher.hold("request"), finished)).unwrap();
    trigger.start();
    assert_eq!(trigger.drained(Duration::ZERO).await.unwrap_err().held, [("request", 1), ("worker", 1)]);
    finish.send(()).unwrap();
    drop(handed);
    assert_eq!(trigger.drained(LONG).await, Ok(()));
    thread.unwrap().join().unwrap();
}
