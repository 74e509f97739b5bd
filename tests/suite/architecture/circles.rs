//! No import circle between files, nor between the children of a folder.

use std::collections::{BTreeMap, BTreeSet};

use super::program::{Edge, Program};

/// Imports between named nodes, each with the places where they are.
#[derive(Default)]
pub struct Graph(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Graph {
    fn insert(&mut self, program: &Program, edge: &Edge, from: &str, to: &str) {
        let place = format!("src/{}:{}: {}", program.files[edge.from].path, edge.line, edge.path);
        self.0.entry(from.to_owned()).or_default().entry(to.to_owned()).or_default().push(place);
    }

    /// The graph of the files.
    pub fn of_files(program: &Program) -> Self {
        let mut graph = Self::default();
        for edge in program.edges().0 {
            let [from, to] = [edge.from, edge.to].map(|file| &program.files[file].path);
            graph.insert(program, &edge, from, to);
        }
        graph
    }

    /// The graph of the children of each folder. A child is a file, or a folder with all that is below it.
    pub fn of_folders(program: &Program) -> Vec<Self> {
        let mut graphs: BTreeMap<&[String], Self> = BTreeMap::new();
        for edge in program.edges().0 {
            let [from, to] = [edge.from, edge.to].map(|file| &program.files[file].module);
            let depth = from.iter().zip(to).take_while(|(from, to)| from == to).count();
            // The folder's own module is one of its children.
            let child = |module: &[String]| match module.get(..=depth) {
                Some(child) => child.join("/"),
                None => format!("{}/mod.rs", module.join("/")),
            };
            let graph = graphs.entry(&from[..depth]).or_default();
            graph.insert(program, &edge, &child(from), &child(to));
        }
        graphs.into_values().collect()
    }

    /// The circles: sets of nodes that each lead to all of their set.
    fn circles(&self) -> BTreeSet<BTreeSet<&str>> {
        let reachable: BTreeMap<&str, BTreeSet<&str>> =
            self.0.keys().map(|node| (node.as_str(), self.reachable(node))).collect();
        let mut circles = BTreeSet::new();
        for (node, found) in &reachable {
            let is_mutual = |other: &&str| reachable.get(other).is_some_and(|back| back.contains(node));
            let circle: BTreeSet<_> = found.iter().copied().filter(is_mutual).collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        circles
    }

    fn reachable<'g>(&'g self, start: &'g str) -> BTreeSet<&'g str> {
        let (mut found, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(node) = open.pop() {
            let next = self.0.get(node).into_iter().flat_map(BTreeMap::keys).map(String::as_str);
            open.extend(next.filter(|node| found.insert(*node)));
        }
        found
    }

    /// The imports within a circle, each with its first place.
    fn imports_within(&self, circle: &BTreeSet<&str>) -> Vec<String> {
        let inside = |name: &String| circle.contains(name.as_str());
        let from = self.0.iter().filter(|(from, _)| inside(from));
        from.flat_map(|(from, to)| to.iter().map(move |(to, places)| (from, to, places)))
            .filter(|(_, to, _)| inside(to))
            .map(|(from, to, places)| format!("    {from} -> {to} ({}), at {}", places.len(), places[0]))
            .collect()
    }
}

/// Every circle, each followed by the imports within it.
pub fn violations(graphs: &[Graph]) -> Vec<String> {
    let mut found = Vec::new();
    for graph in graphs {
        for circle in graph.circles() {
            found.push(format!("circle: {:?}", circle.iter().collect::<Vec<_>>()));
            found.extend(graph.imports_within(&circle));
        }
    }
    found
}

#[test]
fn paths_within_the_crate_all_resolve() {
    let unresolved = Program::sidekey().edges().1;
    assert!(unresolved.is_empty(), "the rules do not see where these lead:\n{}", unresolved.join("\n"));
}

#[test]
fn files_have_no_import_circle() {
    let found = violations(&[Graph::of_files(&Program::sidekey())]);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn folders_have_no_import_circle() {
    let found = violations(&Graph::of_folders(&Program::sidekey()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}
