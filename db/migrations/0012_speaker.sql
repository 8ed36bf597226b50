-- Who speaks, as the user says, for ratings that need it; and the language that was said to be spoken, which stays when one was found.

alter table sessions
    add column speaker text not null default 'adult' check (speaker in ('adult', 'child')),
    add column wished_language text;
