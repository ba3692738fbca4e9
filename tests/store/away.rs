//! The database goes away under a control plane and comes back.

use std::time::Duration;

use http::StatusCode;
use tests::eventually::eventually;
use tests::http::Http;
use tests::plane::Plane;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_control_plane_without_its_database_is_not_ready() {
    let plane = Plane::start().await;
    let (http, url) = (Http::new(), format!("{}/readyz", plane.admin_url));
    let (http, url) = (&http, url.as_str());
    let ready = |wanted: StatusCode| async move {
        match http.get(url).await {
            Ok(answer) if answer.status == wanted => Ok(()),
            Ok(answer) => Err(format!("{} {:?}", answer.status, answer.body)),
            Err(error) => Err(error.to_string()),
        }
    };
    eventually("it is ready", LIMIT, || ready(StatusCode::OK)).await;
    let admin = admin(&plane).await;
    let allow = async |allowed: bool| {
        let name = plane.database.options.get_database().unwrap().to_owned();
        let statement = format!("alter database \"{name}\" allow_connections {allowed}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&admin).await.unwrap();
        if !allowed {
            sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
                .bind(&name)
                .execute(&admin)
                .await
                .unwrap();
        }
    };
    allow(false).await;
    eventually("it says that it is not", LIMIT, || ready(StatusCode::SERVICE_UNAVAILABLE)).await;
    allow(true).await;
    eventually("it is ready again", LIMIT, || ready(StatusCode::OK)).await;
    plane.end().await;
}

/// Connected to another database of the same server.
async fn admin(plane: &Plane) -> sqlx::PgPool {
    sqlx::PgPool::connect_with(plane.database.options.clone().database("postgres")).await.unwrap()
}
