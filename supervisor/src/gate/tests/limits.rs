use super::*;

use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn hundreds_are_served_a_few_at_a_time() {
    let open = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
    let port = server(move |mut stream| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let told = stream.read_u8().await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            stream.write_u8(told).await.unwrap();
        }
    })
    .await;
    let limits = Limits { connections: 16, ..Limits::strict() };
    let opened = Opened::new(&grants(&["busy.test"], port), &limits).await;
    let clients: Vec<JoinHandle<u8>> = (0..300)
        .map(|_| {
            tokio::spawn(async move {
                let mut stream = connect(port).await;
                stream.write_u8(7).await.unwrap();
                stream.read_u8().await.unwrap()
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.unwrap(), 7);
    }
    assert!(most.load(Ordering::SeqCst) <= 16, "{most:?} at one time");
    let (used, denied) = opened.close();
    assert_eq!((used.connections.len(), used.unrecorded_connections), (256, 44));
    assert_eq!((used.sent_bytes, used.received_bytes, denied.len()), (300, 300, 0));
}

#[tokio::test]
async fn what_exceeds_the_bytes_of_a_run_is_cut_off() {
    let port = server(|mut stream| async move {
        drop(stream.write_all(&vec![7; 1_000_000]).await);
    })
    .await;
    let limits = Limits { network_bytes: 100_000, ..Limits::strict() };
    let opened = Opened::new(&grants(&["big.test"], port), &limits).await;
    let mut stream = connect(port).await;
    let (came, is_broken) = rest(&mut stream).await;
    // A reset may overtake what was written before it.
    assert!(came.len() <= 100_000 && is_broken, "{}", came.len());
    assert_eq!(rest(&mut connect(port).await).await, (Vec::new(), true));
    let (used, denied) = opened.close();
    assert_eq!(used.received_bytes, 100_000);
    assert_eq!([used.connections[0].verdict, used.connections[1].verdict], ["network_bytes"; 2]);
    assert!(denied.iter().all(|denial| denial.rule == "network/bytes"), "{denied:?}");
    assert_eq!(denied.iter().map(|denial| denial.count).sum::<u64>(), 2);
}

#[tokio::test]
async fn bytes_pass_at_the_rate_of_the_run() {
    let port = echo().await;
    let limits = Limits { network_bytes_per_s: 1_000_000, ..Limits::strict() };
    let opened = Opened::new(&grants(&["slow.test"], port), &limits).await;
    let begun = Instant::now();
    let mut stream = connect(port).await;
    for _ in 0..10 {
        let mut piece = vec![7; 50_000];
        stream.write_all(&piece).await.unwrap();
        stream.read_exact(&mut piece).await.unwrap();
    }
    // A million bytes, of which a quarter of a second's worth comes at once.
    assert!(begun.elapsed() > Duration::from_millis(600), "{:?}", begun.elapsed());
    drop(opened);
}

#[tokio::test]
async fn denials_are_counted_and_told_apart_up_to_a_bound() {
    let port = echo().await;
    let opened = Opened::new(&grants(&["a.test"], port), &Limits::strict()).await;
    for index in 0..100 {
        let target = super::super::table::Target::Name(format!("host{index}.test"));
        for _ in 0..100 {
            opened.gate.shared.audit.not_granted(&target, None);
        }
    }
    let (_, denied) = opened.close();
    let places: std::collections::BTreeSet<_> = denied.iter().map(|denial| &denial.what).collect();
    assert!(places.len() <= 65, "{}", places.len());
    assert!(places.contains(&"connect to host0.test".to_owned()));
}
