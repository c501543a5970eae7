//! Vector sets against brute force and a map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Numbers without pattern, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }
}

const FORMS: [Quantization; 3] = [Quantization::None, Quantization::Q8, Quantization::Binary];

fn set_of(quantization: Quantization, dim: usize, m: usize) -> VectorSet {
    VectorSet::new(Form { dim, quantization, m }, None)
}

fn name_of(number: usize) -> Vec<u8> {
    format!("element:{number}").into_bytes()
}

fn search(ef: usize, is_exact: bool) -> Search {
    Search { ef, n_visits_max: usize::MAX, is_exact }
}

/// How many of the nearest `count` elements a search of `ef` nodes finds.
fn recall(set: &VectorSet, queries: &[Vec<f32>], count: usize, ef: usize) -> f64 {
    let mut n_found = 0;
    for query in queries {
        let truth = set.search(query.clone(), search(count, true), |_| true);
        let mut found = set.search(query.clone(), search(ef, false), |_| true);
        found.truncate(count);
        // Equal distances are as good.
        let worst = truth.last().map_or(0.0, |last| last.distance);
        n_found += found.iter().filter(|found| found.distance <= worst).count();
    }
    n_found as f64 / (queries.len() * count) as f64
}

#[test]
fn near_vectors_are_found() {
    for quantization in FORMS {
        let mut random = Random(1);
        let mut set = set_of(quantization, 64, 16);
        for number in 0..1500 {
            let (vector, bits) = (random.vector(64), random.next());
            assert!(set.insert(&name_of(number), vector, None, 200, bits));
        }
        set.check();
        assert_eq!(set.0.graph.n_reachable(), 1500, "{quantization:?}");
        let queries: Vec<Vec<f32>> = (0..50).map(|_| random.vector(64)).collect();
        let found = recall(&set, &queries, 10, 100);
        assert!(found > 0.9, "{quantization:?}: {found}");
        // The same after two of three have gone.
        for number in (0..1500).filter(|number| number % 3 != 0) {
            assert!(set.remove(&name_of(number)));
        }
        set.check();
        assert_eq!(set.0.graph.n_reachable(), 500, "{quantization:?}");
        let found = recall(&set, &queries, 10, 100);
        assert!(found > 0.9, "{quantization:?} after removals: {found}");
    }
}

#[test]
fn heaps_of_equal_vectors_stay_in_reach() {
    let mut random = Random(2);
    let mut set = set_of(Quantization::Q8, 8, 4);
    let centres: Vec<Vec<f32>> = (0..5).map(|_| random.vector(8)).collect();
    for number in 0..1000 {
        let (vector, bits) = (centres[number % 5].clone(), random.next());
        set.insert(&name_of(number), vector, None, 20, bits);
    }
    set.check();
    assert_eq!(set.0.graph.n_reachable(), 1000);
    for centre in &centres {
        let found = set.search(centre.clone(), search(50, false), |_| true);
        assert!(found.len() == 50 && found[0].distance < 0.01, "{found:?}");
        let n_near = found.iter().filter(|found| found.distance < 0.01).count();
        assert!(n_near > 40, "{n_near}");
    }
}

#[test]
fn refused_elements_are_walked_over() {
    let mut random = Random(3);
    let mut set = set_of(Quantization::None, 16, 16);
    for number in 0..1000 {
        let (vector, bits) = (random.vector(16), random.next());
        set.insert(&name_of(number), vector, None, 100, bits);
    }
    let query = random.vector(16);
    let is_wanted = |node: u32| node.is_multiple_of(50);
    let truth = set.search(query.clone(), search(10, true), is_wanted);
    let found = set.search(query.clone(), search(10, false), is_wanted);
    assert_eq!(truth.len(), 10);
    let n_found = found.iter().filter(|found| truth.contains(found)).count();
    assert!(n_found >= 9, "{n_found}");
    let few = Search { n_visits_max: 3, ..search(10, false) };
    assert!(set.search(query, few, is_wanted).len() < 10);
}

#[test]
fn payloads_must_make_sense() {
    let mut random = Random(4);
    let mut set = set_of(Quantization::Q8, 5, 4);
    for number in 0..50 {
        let (vector, bits) = (random.vector(5), random.next());
        let attributes = (number % 3 == 0).then_some(&b"{}"[..]);
        set.insert(&name_of(number), vector, attributes, 50, bits);
    }
    let elements = unloaded(&set);
    let load = |elements: Vec<Loaded>| VectorSet::load(set.form(), None, elements);
    let again = load(elements.clone()).unwrap();
    again.check();
    assert_eq!((again.len(), again.n_attributes(), again.last_id()), (50, 17, 50));
    assert_eq!(again.level_max(), set.level_max());
    assert_eq!(unloaded(&again), elements);
    let refused = |spoil: fn(&mut Vec<Loaded>)| {
        let mut elements = elements.clone();
        spoil(&mut elements);
        assert!(load(elements).is_none());
    };
    refused(|elements| elements.clear());
    refused(|elements| elements[3].id = elements[4].id);
    refused(|elements| elements[3].name = elements[4].name.clone());
    refused(|elements| elements[3].vector.push(0));
    refused(|elements| elements[3].layers.clear());
    refused(|elements| elements[3].layers[0].truncate(1));
    refused(|elements| elements[3].layers[0].push(99));
    refused(|elements| {
        let id = elements[3].id;
        elements[3].layers[0].push(id);
    });
    refused(|elements| {
        let id = elements[3].layers[0][0];
        elements[3].layers[0].push(id);
    });
    refused(|elements| {
        let id = elements[4].id;
        elements[3].layers.resize(30, vec![id]);
    });
}

/// The elements as a payload has them, in the order of their ids.
fn unloaded(set: &VectorSet) -> Vec<Loaded> {
    let element = |node: u32| Loaded {
        name: set.name(node).to_vec(),
        attributes: set.attributes(node).unwrap_or_default().to_vec(),
        vector: set.stored(node).to_bytes(),
        id: set.id(node),
        l2: set.l2(node),
        range: set.stored(node).range(),
        layers: (0..set.n_layers(node)).map(|layer| set.sorted_links(node, layer).0).collect(),
    };
    let mut elements: Vec<Loaded> = (0..set.len() as u32).map(element).collect();
    elements.sort_unstable_by_key(|element| element.id);
    elements
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u8, i8, Option<bool>),
    Remove(u8),
    SetAttributes(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0u8..60;
    prop_oneof![
        4 => (name.clone(), any::<i8>(), any::<Option<bool>>()).prop_map(|(n, x, a)| Step::Insert(n, x, a)),
        2 => name.clone().prop_map(Step::Remove),
        1 => (name, any::<bool>()).prop_map(|(n, a)| Step::SetAttributes(n, a)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 100 }))]

    #[test]
    fn a_set_is_what_a_map_is(
        steps in proptest::collection::vec(step(), 0..200),
        form in 0usize..3,
    ) {
        let text = |is_set: bool| if is_set { &b"{\"a\":1}"[..] } else { b"" };
        let mut set = set_of(FORMS[form], 3, 4);
        let mut random = Random(7);
        let mut model: BTreeMap<Vec<u8>, (i8, bool)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(name, x, attributes) => {
                    let name = name_of(name.into());
                    let old = model.get(&name).copied();
                    let vector = vec![f32::from(x), 1.0, -1.0];
                    let is_new = set.insert(&name, vector, attributes.map(text), 20, random.next());
                    prop_assert_eq!(is_new, old.is_none());
                    let attributes = match (old, attributes) {
                        (Some((_, old)), attributes) => attributes.unwrap_or(old),
                        (None, attributes) => attributes == Some(true),
                    };
                    model.insert(name, (x, attributes));
                }
                Step::Remove(name) => {
                    let name = name_of(name.into());
                    prop_assert_eq!(set.remove(&name), model.remove(&name).is_some());
                }
                Step::SetAttributes(name, is_set) => {
                    let name = name_of(name.into());
                    if let Some(node) = set.find(&name) {
                        set.set_attributes(node, text(is_set));
                    }
                    model.entry(name).and_modify(|(_, attributes)| *attributes = is_set);
                }
            }
        }
        set.check();
        prop_assert_eq!(set.len(), model.len());
        for (name, (x, attributes)) in &model {
            let node = set.find(name).unwrap();
            prop_assert_eq!(set.attributes(node).is_some(), *attributes);
            if FORMS[form] == Quantization::None {
                prop_assert!((set.vector(node)[0] - f32::from(*x)).abs() < 0.01);
            }
        }
        prop_assert_eq!(set.duplicate().len(), model.len());
        if !set.is_empty() {
            let found = set.search(vec![1.0, 2.0, 3.0], search(100, false), |_| true);
            prop_assert_eq!(found.len(), set.0.graph.n_reachable());
            prop_assert!(set.mem_bytes() > 0);
            let again = VectorSet::load(set.form(), None, unloaded(&set)).unwrap();
            again.check();
            for name in model.keys() {
                let [(old, at), (new, now_at)] = [&set, &again].map(|set| (set, set.find(name).unwrap()));
                prop_assert_eq!(new.stored(now_at).to_bytes(), old.stored(at).to_bytes());
                prop_assert_eq!(new.attributes(now_at), old.attributes(at));
            }
        }
    }
}
