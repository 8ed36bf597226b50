-- The style of speaking, which is the name of the rubric that scores it (config/rubric/*.toml).

alter table sessions add style text not null default 'talk';
